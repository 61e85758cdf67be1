import * as FastCheck from "effect/FastCheck"

// A check that fails has to fail again. `PROPERTY_SEED=random` looks further; a number repeats what was found.
const seed = process.env["PROPERTY_SEED"] ?? "1"
if (seed !== "random") FastCheck.configureGlobal({ seed: Number(seed) })
