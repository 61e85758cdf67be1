/** The configuration that points OpenCode at the scripted provider. */
import type * as ModelProvider from "../../ModelProvider.js"

export const providerId = "fake"

export const modelId = "m1"

export const model = `${providerId}/${modelId}`

export const of = (baseUrl: string, apiKey = "scripted-key", images = false): ModelProvider.ConfigOverrides => ({
  provider: {
    [providerId]: {
      npm: "@ai-sdk/openai-compatible",
      name: "Scripted provider",
      options: { baseURL: baseUrl, apiKey },
      models: {
        [modelId]: {
          name: "Scripted model",
          tool_call: true,
          reasoning: true,
          ...(images ? { attachment: true, modalities: { input: ["text", "image"], output: ["text"] } } : {}),
          cost: { input: 1, output: 2 },
          limit: { context: 200_000, output: 32_000 }
        }
      }
    }
  },
  model
})
