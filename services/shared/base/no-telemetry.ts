/**
 * Imported for its effect, before onnxruntime is loaded: its builds since 1.29 tell their maker what is computed, unless this
 * variable is set (https://github.com/microsoft/onnxruntime/pull/27379). Whoever sets it keeps what they have set. A worker
 * thread's variables are copies that libraries don't see: so programs import this first.
 */
process.env.ORT_DISABLE_TELEMETRY ??= "1";

export {};
