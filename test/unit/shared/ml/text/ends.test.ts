import { endsOf } from "../../../../../services/shared/ml/text/ends.js";
import { chatml, fixtureTokenizer } from "../../../../support/models/encoder-fixtures.js";

const plain = fixtureTokenizer("bytes");
const id = (token: string) => plain.tokenToId(token)!;

describe("endsOf()", () => {
  it("joins what the configs, the tokenizer and the template name", () => {
    const { ids } = endsOf(fixtureTokenizer("bytes", chatml), [id("<|eot_id|>"), id("<|eom_id|>")]);
    expect(ids).toEqual(["<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|im_end|>"].map(id));
  });

  it("says nothing where they agree", () => {
    const tokenizer = fixtureTokenizer("bytes", chatml, { eos_token: "<|im_end|>" });
    expect(endsOf(tokenizer, [id("<|im_end|>")])).toMatchObject({ ids: [id("<|im_end|>")], warnings: [] });
    expect(endsOf(tokenizer, [])).toMatchObject({ ids: [id("<|im_end|>")], warnings: [] });
    expect(endsOf(plain, [id("<|endoftext|>")]).warnings).toEqual([]);
  });

  it("names an end that the template's turns have and eos_token_id does not", () => {
    const { warnings } = endsOf(fixtureTokenizer("bytes", chatml), [id("<|endoftext|>")]);
    expect(warnings).toEqual([expect.stringMatching(/ends an answer with <\|im_end\|> \(\d+\), and eos_token_id names <\|endoftext\|>/)]);
  });

  it("says that a template's turns have no end", () => {
    const tokenizer = fixtureTokenizer("bytes", "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}");
    expect(endsOf(tokenizer, []).warnings).toEqual([expect.stringContaining("with no special token")]);
  });

  it("says that nothing ends a sequence", () => {
    const endless = fixtureTokenizer("bytes", undefined, { eos_token: null });
    expect(endsOf(endless, [])).toEqual({ ids: [], declared: [], warnings: [expect.stringContaining("no token ends a sequence")] });
  });

  it("takes a template that refuses a plain exchange for one that says nothing", () => {
    const tokenizer = fixtureTokenizer("bytes", "{{ raise_exception('no') }}");
    expect(endsOf(tokenizer, [id("<|endoftext|>")])).toEqual({ ids: [id("<|endoftext|>")], declared: [id("<|endoftext|>")], warnings: [] });
  });
});
