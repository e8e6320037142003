import { configText } from "../../../../../services/shared/ml/models/config/config-text.js";

describe("configText()", () => {
  it("writes the whole numbers that transformers wants as floats with a point, and no others", () => {
    const config = {
      final_logit_softcapping: 30,
      attn_logit_softcapping: 50,
      router_jitter_noise: 0,
      hidden_size: 16,
      rms_norm_eps: 1e-6,
      rope_parameters: { rope_theta: 10000, factor: 8 },
      logit_scale: 1,
      "a name with final_logit_softcapping": 3,
    };
    const text = configText(config);
    expect(JSON.parse(text)).toEqual(config);
    expect(text.match(/"[\w ]+": [\d.e-]+/g)).toEqual([
      '"final_logit_softcapping": 30.0',
      '"attn_logit_softcapping": 50.0',
      '"router_jitter_noise": 0.0',
      '"hidden_size": 16',
      '"rms_norm_eps": 0.000001',
      '"rope_theta": 10000.0',
      '"factor": 8.0',
      '"logit_scale": 1.0',
      '"a name with final_logit_softcapping": 3',
    ]);
  });
});
