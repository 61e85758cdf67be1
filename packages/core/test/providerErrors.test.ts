import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import * as providerErrors from "../src/internal/opencode/providerErrors.js"

type Row = readonly [kind: RunEvent.SessionErrorKind, status: number | undefined, message: string, body?: string]

/** Real messages of providers, and the kind that a person would choose. */
const table: { readonly [provider: string]: ReadonlyArray<Row> } = {
  OpenAI: [
    [
      "authentication",
      401,
      "Incorrect API key provided: sk-12***34. You can find your API key at https://platform.openai.com/account/api-keys."
    ],
    [
      "authentication",
      undefined,
      "You didn't provide an API key. You need to provide your API key in an Authorization header"
    ],
    [
      "quota",
      429,
      "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
    ],
    ["quota", 400, "Billing hard limit has been reached"],
    ["quota", 429, "Your account is not active, please check your billing details on our website."],
    [
      "quota",
      429,
      "Rate limit reached for gpt-4o in organization org-x on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s."
    ],
    [
      "rate-limit",
      429,
      "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 4000. Please try again in 6s. Visit https://platform.openai.com/account/billing"
    ],
    [
      "rate-limit",
      429,
      "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 342389. The input or output tokens must be reduced in order to run successfully."
    ],
    [
      "context-overflow",
      400,
      "This model's maximum context length is 128000 tokens. However, your messages resulted in 204308 tokens. Please reduce the length of the messages.",
      "{\"error\":{\"code\":\"context_length_exceeded\"}}"
    ],
    [
      "context-overflow",
      400,
      "Your input exceeds the context window of this model. Please adjust your input and try again."
    ],
    ["model-not-found", 404, "The model `gpt-9` does not exist or you do not have access to it."],
    [
      "model-not-found",
      403,
      "Project `proj_x` does not have access to model `gpt-4`",
      "{\"error\":{\"code\":\"model_not_found\"}}"
    ],
    [
      "content-filter",
      400,
      "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt."
    ],
    [
      "other",
      400,
      "max_tokens is too large: 40000. This model supports at most 4096 completion tokens, whereas you provided 40000."
    ],
    [
      "other",
      403,
      "Country, region, or territory not supported",
      "{\"error\":{\"code\":\"unsupported_country_region_territory\",\"type\":\"request_forbidden\"}}"
    ],
    [
      "other",
      400,
      "Invalid schema for function 'set_api_key': In context=('properties', 'api_key'), 'additionalProperties' is required to be supplied and to be false."
    ],
    ["provider-unavailable", 500, "The server had an error while processing your request. Sorry about that!"],
    ["provider-unavailable", undefined, "The server had an error processing your request (server_error)"]
  ],
  Anthropic: [
    [
      "authentication",
      401,
      "invalid x-api-key",
      "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"invalid x-api-key\"}}"
    ],
    ["authentication", undefined, "invalid x-api-key"],
    [
      "authentication",
      403,
      "Your API key does not have permission to use the specified resource.",
      "{\"error\":{\"type\":\"permission_error\"}}"
    ],
    ["authentication", 401, "OAuth token has expired. Please obtain a new token or refresh your existing token."],
    [
      "quota",
      400,
      "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."
    ],
    [
      "quota",
      400,
      "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
    ],
    ["quota", 429, "Number of requests has exceeded your daily rate limit"],
    [
      "rate-limit",
      429,
      "This request would exceed your organization's rate limit of 30,000 input tokens per minute. For details, refer to: https://docs.anthropic.com/en/api/rate-limits"
    ],
    ["rate-limit", 429, "Number of concurrent connections has exceeded your rate limit. Please try again later."],
    ["rate-limit", 529, "Overloaded"],
    ["rate-limit", undefined, "overloaded_error: Overloaded"],
    ["context-overflow", 400, "prompt is too long: 210000 tokens > 200000 maximum"],
    [
      "context-overflow",
      400,
      "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length or `max_tokens` and try again"
    ],
    ["context-overflow", 413, "Request exceeds the maximum size", "{\"error\":{\"type\":\"request_too_large\"}}"],
    [
      "model-not-found",
      404,
      "model: claude-x",
      "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"model: claude-x\"}}"
    ],
    ["model-not-found", undefined, "model: claude-x"],
    ["content-filter", 400, "Output blocked by content filtering policy"],
    ["other", 400, "messages.3.content.0.image.source: the image is too large (5.9 MB, limit 5 MB)"],
    [
      "other",
      400,
      "messages.3.content.0.image.source.base64: image exceeds 5 MB maximum: 6186724 bytes > 5242880 bytes"
    ],
    [
      "other",
      400,
      "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku"
    ],
    ["other", 400, "tools.4.input_schema.properties.api_key: invalid JSON schema"],
    ["other", 400, "tools.2.custom.input_schema.properties.content_filter.rate_limit: Extra inputs are not permitted"],
    ["other", 400, "messages.5: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1"],
    ["provider-unavailable", 500, "Internal server error"]
  ],
  Google: [
    [
      "authentication",
      400,
      "API key not valid. Please pass a valid API key.",
      "{\"error\":{\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}"
    ],
    ["authentication", 403, "Permission denied on resource project acme."],
    [
      "quota",
      403,
      "Quota exceeded for quota metric 'Generate requests per day' and limit 'Generate requests per day' of service 'generativelanguage.googleapis.com'"
    ],
    [
      "quota",
      429,
      "You exceeded your current quota.",
      "{\"error\":{\"details\":[{\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProjectPerModel-FreeTier\"}]}]}}"
    ],
    [
      "quota",
      429,
      "You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 0, model: gemini-2.0-flash\nPlease retry in 6.17s."
    ],
    [
      "rate-limit",
      429,
      "You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 10, model: gemini-2.5-flash\nPlease retry in 6.17s."
    ],
    [
      "rate-limit",
      403,
      "Quota exceeded for quota metric 'Generate Content API requests per minute' and limit 'GenerateContent request limit per minute for a region'"
    ],
    [
      "rate-limit",
      429,
      "Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model with base model: gemini-1.5-pro."
    ],
    [
      "rate-limit",
      429,
      "Resource has been exhausted (e.g. check quota).",
      "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\"}}"
    ],
    ["rate-limit", undefined, "Resource exhausted. Please try again later."],
    [
      "context-overflow",
      400,
      "The input token count (1234567) exceeds the maximum number of tokens allowed (1048575)."
    ],
    [
      "model-not-found",
      404,
      "models/gemini-9 is not found for API version v1beta, or is not supported for generateContent."
    ],
    [
      "model-not-found",
      404,
      "Publisher Model `projects/acme/locations/us-central1/publishers/google/models/gemini-9` was not found or your project does not have access to it."
    ],
    ["provider-unavailable", 503, "The model is overloaded. Please try again later."],
    [
      "other",
      400,
      "User location is not supported for the API use.",
      "{\"error\":{\"status\":\"FAILED_PRECONDITION\"}}"
    ]
  ],
  "Amazon Bedrock": [
    ["rate-limit", 429, "Too many requests, please wait before trying again. You have sent too many requests."],
    ["rate-limit", undefined, "ThrottlingException: Too many tokens, please wait before trying again."],
    ["quota", 429, "Too many tokens per day, please wait before trying again."],
    [
      "model-not-found",
      400,
      "Invocation of model ID anthropic.claude-3-7-sonnet-20250219-v1:0 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
    ],
    ["model-not-found", 400, "The provided model identifier is invalid."],
    ["authentication", 403, "You don't have access to the model with the specified model ID."],
    ["authentication", 403, "The security token included in the request is expired"],
    ["context-overflow", 400, "Input is too long for requested model."]
  ],
  OpenRouter: [
    [
      "quota",
      402,
      "This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, but can only afford 0."
    ],
    ["quota", undefined, "Insufficient credits. Add more using https://openrouter.ai/settings/credits"],
    [
      "quota",
      429,
      "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"
    ],
    ["rate-limit", 429, "Rate limit exceeded: free-models-per-min."],
    [
      "rate-limit",
      undefined,
      "google/gemini-2.0-flash-exp:free is temporarily rate-limited upstream. Please retry shortly."
    ],
    ["content-filter", 403, "Your chosen model requires moderation and your input was flagged"],
    ["authentication", 401, "No auth credentials found"],
    ["authentication", 401, "User not found."],
    ["model-not-found", 404, "No endpoints found for acme/nothing."],
    ["model-not-found", 400, "acme/nothing is not a valid model ID"],
    ["provider-unavailable", undefined, "Provider returned error"]
  ],
  Azure: [
    [
      "content-filter",
      400,
      "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.",
      "{\"error\":{\"code\":\"content_filter\",\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}}"
    ],
    [
      "rate-limit",
      429,
      "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 20 seconds."
    ],
    [
      "model-not-found",
      404,
      "The API deployment for this resource does not exist.",
      "{\"error\":{\"code\":\"DeploymentNotFound\"}}"
    ],
    ["authentication", 401, "Access denied due to invalid subscription key or wrong API endpoint."]
  ],
  "vLLM, Ollama and llama.cpp": [
    [
      "context-overflow",
      400,
      "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages."
    ],
    [
      "other",
      400,
      "'max_tokens' or 'max_completion_tokens' is too large: 20480. This model's maximum context length is 4096 tokens and your request has 300 input tokens"
    ],
    ["context-overflow", 400, "the request exceeds the available context size, try increasing it"],
    ["model-not-found", 404, "model 'llama9' not found, try pulling it first"],
    ["model-not-found", undefined, "model \"llama9\" not found, try pulling it first"],
    ["model-not-found", 404, "The model `acme/llama` does not exist."],
    ["other", 400, "registry.ollama.ai/library/gemma:2b does not support tools"],
    ["provider-unavailable", undefined, "Cannot connect to API: connect ECONNREFUSED 127.0.0.1:11434"],
    [
      "other",
      400,
      "[{'type': 'extra_forbidden', 'loc': ('body', 'thinking'), 'msg': 'Extra inputs are not permitted'}]"
    ]
  ],
  "more of them": [
    ["authentication", 400, "This organization has been disabled."],
    [
      "authentication",
      400,
      "This credential is only authorized for use with Claude Code and cannot be used for other API requests."
    ],
    ["quota", 403, "This API method requires billing to be enabled. Please enable billing on project #123"],
    ["quota", 403, "Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys"],
    ["quota", 403, "Your newly created team doesn't have any credits or licenses yet."],
    ["quota", 429, "Your account org-1 <ak-1> is suspended, please check your plan and billing details"],
    ["quota", 429, "余额不足或无可用资源包,请充值。"],
    ["quota", 429, "You are using a Trial key, which is limited to 1000 API calls / month."],
    ["quota", undefined, "You have hit your weekly limit"],
    ["content-filter", 403, "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_CSAM"],
    [
      "content-filter",
      403,
      "acme/large requires moderation. Your input was flagged for \"violence\". No credits were charged."
    ],
    [
      "model-not-found",
      404,
      "Access denied. This Model is marked by provider as Legacy and you have not been actively using it."
    ],
    ["model-not-found", 400, "Model Not Exist"],
    ["context-overflow", 400, "The decoder prompt (length 40000) is longer than the maximum model length of 32768."],
    [
      "context-overflow",
      422,
      "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 4000 `inputs` tokens and 1000 `max_new_tokens`"
    ],
    ["context-overflow", 400, "Range of input length should be [1, 129024]"],
    ["context-overflow", 400, "prompt token count of 150000 exceeds the limit of 128000"],
    ["context-overflow", 400, "Invalid request: Your request exceeded model token limit: 131072"],
    [
      "context-overflow",
      400,
      "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 6000"
    ],
    ["other", 400, "tools.0.input_schema: property 'unauthorized' is not allowed"],
    ["other", 400, "Invalid JSON payload received. Unknown name \"context_window\" at 'tools[0]': Cannot find field."],
    [
      "other",
      400,
      "Unknown name \"context_window\"",
      "{\"error\":{\"message\":\"Unknown name \\\"context_window\\\"\",\"status\":\"INVALID_ARGUMENT\"}}"
    ],
    [
      "other",
      400,
      "Invalid schema for function 'get_quota_exceeded': schema must be a JSON Schema of 'type: \"object\"'."
    ],
    [
      "other",
      400,
      "Invalid schema for function 'rate_limit_check': In context=('properties', 'requests_per_minute'), 'items' is missing."
    ],
    ["other", 400, "The parameter 'timeout' is not allowed"],
    ["other", 400, "tool `socket_connect` has an invalid name"],
    ["quota", 400, "Error code: 400 - {'error': {'message': 'no', 'code': 'insufficient_quota'}}"],
    [
      "context-overflow",
      400,
      "no",
      "{\"error\":{\"metadata\":{\"raw\":\"{\\\"code\\\":\\\"context_length_exceeded\\\"}\"}}}"
    ]
  ],
  "others, and proxies": [
    ["quota", 402, "Insufficient Balance"],
    ["quota", 401, "Insufficient balance. Manage your billing here: https://opencode.ai/workspace/wrk_1/billing"],
    ["quota", undefined, "Free usage exceeded, subscribe to Go"],
    [
      "quota",
      undefined,
      "5 hour usage limit reached. It will reset in 2 hours 10 minutes. To continue using this model now, enable usage from your available balance"
    ],
    ["quota", 429, "You have exceeded your premium request allowance."],
    ["quota", undefined, "The usage limit has been reached"],
    [
      "rate-limit",
      413,
      "Request too large for model `llama-3.3-70b-versatile` in organization `org_x` on tokens per minute (TPM): Limit 12000, Requested 14137. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
    ],
    ["model-not-found", 400, "The model `mixtral-8x7b-32768` has been decommissioned and is no longer supported."],
    ["context-overflow", 400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."],
    ["context-overflow", 500, "litellm.ContextWindowExceededError: prompt is too long: 210000 tokens > 200000 maximum"],
    ["content-filter", 400, "Content Exists Risk"],
    [
      "content-filter",
      400,
      "Input data may contain inappropriate content.",
      "{\"error\":{\"code\":\"data_inspection_failed\"}}"
    ],
    [
      "authentication",
      403,
      "Forbidden: request was blocked by a gateway or proxy. You may not have permission to access this resource"
    ],
    [
      "authentication",
      403,
      "Forbidden",
      "<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title>your quota was exceeded</html>"
    ],
    [
      "provider-unavailable",
      502,
      "Bad Gateway",
      "<html><head><title>502 Bad Gateway</title></head><body>invalid api key, quota exceeded</body></html>"
    ],
    ["provider-unavailable", 522, "error code: 522"],
    ["provider-unavailable", undefined, "Bad Gateway"],
    ["provider-unavailable", undefined, "The socket connection was closed unexpectedly"],
    ["provider-unavailable", 504, "upstream request timeout"],
    ["model-not-found", 404, "Not Found"]
  ]
}

const rows = Object.entries(table).flatMap(([provider, some]) => some.map((row) => [provider, ...row] as const))

const event = (statusCode: number | undefined, message: string, responseBody?: string): RunEvent.RunEvent =>
  RunEvent.fromWire({
    type: "error",
    error: { name: "APIError", data: { message, statusCode, responseBody, isRetryable: false } }
  })

describe("the kind of a provider's error", () => {
  for (const [provider, kind, status, message, body] of rows) {
    it(`${provider}: ${kind} <- ${status ?? "no status"} ${message.slice(0, 80)}`, () => {
      expect(event(status, message, body)).toMatchObject({ _tag: "SessionError", kind })
    })
  }

  it.prop("ignores paths of a schema and links", {
    words: fc.constantFrom(
      "api_key",
      "content_filter",
      "quota_exceeded",
      "rate_limit",
      "context_length",
      "model_not_found"
    )
  }, ({ words }) => {
    expect(providerErrors.kindOfText(`tools.4.input_schema.properties.${words}: invalid JSON schema`)).toBe("other")
    expect(providerErrors.kindOfText(`tools[3].function.parameters.${words}[0]: unexpected`)).toBe("other")
    expect(providerErrors.kindOfText(`the parameter '${words}' is not allowed`)).toBe("other")
    expect(providerErrors.kindOfText(`see https://docs.acme.dev/${words}#${words} for more`)).toBe("other")
  })

  it("has a message even if the provider's is empty, and ignores an unreadable header", () => {
    const of = (error: unknown) => RunEvent.fromWire({ type: "error", sessionID: "ses_1", error })
    expect(of({ name: "APIError", data: { message: "", statusCode: 401, responseHeaders: { "retry-after": null } } }))
      .toMatchObject({ kind: "authentication", message: "APIError", retryAfter: undefined })
    expect(
      of({ data: { message: " ", responseHeaders: { "retry-after-ms": "x", "retry-after": "2" } }, message: "boom" })
    )
      .toMatchObject({ message: "boom", retryAfter: Duration.seconds(2) })
    expect(of("")).toMatchObject({ message: "no reason given" })
  })

  it("of OpenCode 2 follows the provider's words about limits, and else OpenCode's type", () => {
    const kindOf = (type: string, message: string) => providerErrors.describe({ type, message, status: 429 }).kind
    expect(kindOf("provider.quota", "Quota exceeded for quota metric 'Generate requests per minute'")).toBe(
      "rate-limit"
    )
    expect(kindOf("provider.quota", "You exceeded your current quota")).toBe("quota")
    expect(kindOf("provider.quota", "No")).toBe("quota")
    expect(kindOf("provider.rate-limit", "Requests per day: limit 50")).toBe("quota")
    expect(kindOf("provider.rate-limit", "Incorrect API key provided")).toBe("rate-limit")
  })

  it("is found in a text of a megabyte in no more time", () => {
    expect(providerErrors.kindOfText("model ".repeat(200_000))).toBe("other")
    expect(providerErrors.kindOfText("a.".repeat(500_000))).toBe("other")
  })
})

describe("a hopeless failure", () => {
  const isHopeless = (text: string, inARow = 1) =>
    providerErrors.isHopeless(providerErrors.kindOfText(text), text, inARow)

  it("is an exhausted account or a wrong key", () => {
    expect(isHopeless("AI_APICallError: You exceeded your current quota, please check your plan and billing details."))
      .toBe(true)
    expect(isHopeless("AI_APICallError: invalid x-api-key")).toBe(true)
  })

  it("is a model not found twice", () => {
    expect(isHopeless("The model `x` does not exist")).toBe(false)
    expect(isHopeless("The model `x` does not exist", 2)).toBe(true)
  })

  it("is neither a temporary limit nor a conversation that can be shortened", () => {
    for (
      const text of [
        "Quota exceeded for quota metric 'requests per minute'",
        "You exceeded your current quota. For more information, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
        "Resource has been exhausted (e.g. check quota).",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "Overloaded"
      ]
    ) expect(isHopeless(text)).toBe(false)
  })
})
