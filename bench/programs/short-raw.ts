/** Many short runs by hand, in a program with nothing else in memory. */
import * as byHand from "../lib/byHand.js"
import { job, report, start } from "../lib/meter.js"

const asked = job<byHand.Job>()
const stop = start()
const whole = await byHand.runAll(asked)
report({ ...stop(), whole })
