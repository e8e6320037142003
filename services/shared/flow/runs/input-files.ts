/** What Retort reads of a model's folder: what lies beside the weights, and these in their one form. */
export const modelFiles =
  /^(?:(?:config|generation_config|special_tokens_map|added_tokens|adapter_config|tekken)\.json|tokenizer[\w.]*\.(?:json|model)|(?:spiece|tiktoken)\.model|vocab\.(?:json|txt)|merges\.txt|chat_template\.(?:json|jinja)|additional_chat_templates\/[^/]+\.jinja|(?:adapter_)?model(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?)$/;
/** Weights, by their names. */
export const weightFiles = /\.safetensors(?:\.index\.json)?$/;
/** Rows, by their names. */
export const dataFiles = /\.(?:jsonl|json|parquet)(?:\.gz)?$/;
