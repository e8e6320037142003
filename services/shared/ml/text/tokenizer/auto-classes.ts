/**
 * What transformers 5.24 says of its tokenizer classes (models/auto/tokenization_auto.py), as facts: which class a model type
 * has, and how a class reads tokenizer.json. `test/golden/tokenizers/classes.py` prints them.
 */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Model types by the class that AutoTokenizer takes for them; TokenizersBackend reads tokenizer.json as it is. */
const typesOfClass: Readonly<Record<string, string>> = {
  AlbertTokenizer: "albert yoso",
  BartTokenizer: "florence2",
  BarthezTokenizer: "barthez",
  BartphoTokenizer: "bartpho",
  BertGenerationTokenizer: "bert-generation",
  BertJapaneseTokenizer: "bert-japanese",
  BertTokenizer: `
    align bark bert blip bros chinese_clip convbert distilbert electra ernie flava git grounding-dino layoutlm
    megatron-bert mm-grounding-dino nezha nomic_bert qdqbert realm retribert squeezebert tvp vilt visual_bert`,
  BertweetTokenizer: "bertweet",
  BigBirdTokenizer: "big_bird",
  BioGptTokenizer: "biogpt",
  BlenderbotSmallTokenizer: "blenderbot-small",
  BlenderbotTokenizer: "blenderbot",
  ByT5Tokenizer: "byt5",
  CLIPTokenizer: "aimv2 clip clipseg groupvit omdet-turbo oneformer owlv2 owlvit sam3 sam3_video xclip",
  CTRLTokenizer: "ctrl",
  CamembertTokenizer: "camembert",
  CanineTokenizer: "canine",
  ClvpTokenizer: "clvp",
  CodeLlamaTokenizer: "code_llama",
  CohereTokenizer: "aya_vision cohere cohere2",
  CpmAntTokenizer: "cpmant",
  CpmTokenizer: "cpm",
  DPRQuestionEncoderTokenizer: "dpr",
  DebertaTokenizer: "deberta",
  DebertaV2Tokenizer: "deberta-v2",
  DiaTokenizer: "dia",
  EsmTokenizer: "esm",
  EsmcTokenizer: "esmc esmfold2",
  FNetTokenizer: "fnet",
  FSMTTokenizer: "fsmt",
  FlaubertTokenizer: "flaubert",
  FunnelTokenizer: "funnel",
  GPT2Tokenizer: `
    blip-2 codegen dbrx emu3 gpt2 gpt_neo gptj hyperclovax_vision_v2 instructblip instructblipvideo jais2 opt phi
    starcoder2`,
  GPTNeoXJapaneseTokenizer: "gpt_neox_japanese",
  GPTNeoXTokenizer: "falcon_mamba gpt_neox mamba mamba2 mpt olmo olmoe rwkv xlstm",
  GPTSw3Tokenizer: "gpt-sw3",
  GemmaTokenizer: `
    diffusion_gemma gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma shieldgemma2 t5gemma zaya`,
  HerbertTokenizer: "herbert",
  LEDTokenizer: "led",
  LasrTokenizer: "lasr_ctc lasr_encoder",
  LayoutLMv2Tokenizer: "layoutlmv2",
  LayoutLMv3Tokenizer: "layoutlmv3",
  LayoutXLMTokenizer: "layoutxlm",
  LlamaTokenizer: "idefics idefics2",
  LukeTokenizer: "luke",
  LxmertTokenizer: "lxmert",
  M2M100Tokenizer: "m2m_100",
  MBart50Tokenizer: "mbart50",
  MBartTokenizer: "mbart",
  MLukeTokenizer: "mluke",
  MPNetTokenizer: "mpnet",
  MarianTokenizer: "marian",
  MarkupLMTokenizer: "markuplm",
  MgpstrTokenizer: "mgp-str",
  MobileBertTokenizer: "mobilebert",
  MvpTokenizer: "mvp",
  MyT5Tokenizer: "myt5",
  NllbTokenizer: "nllb nllb-moe",
  NougatTokenizer: "nougat pp_formulanet",
  OpenAIGPTTokenizer: "openai-gpt",
  PLBartTokenizer: "plbart",
  ParakeetTokenizer: `
    granite_speech5_ctc nemotron3_5_asr nemotron_asr_streaming omniasr_ctc parakeet_ctc parakeet_rnnt parakeet_tdt`,
  PegasusTokenizer: "pegasus",
  PerceiverTokenizer: "perceiver",
  PhobertTokenizer: "phobert",
  ProphetNetTokenizer: "prophetnet",
  Qwen2Tokenizer: `
    audioflamingo3 colqwen2 cosmos3_omni dots3_note fun_asr_nano hunyuan_vl internvl lighton_ocr moss_transcribe_diarize
    ovis2 qianfan_ocr qwen2 qwen2_5_omni qwen2_5_vl qwen2_audio qwen2_moe qwen2_vl qwen3 qwen3_asr qwen3_moe qwen3_next
    qwen3_omni_moe qwen3_vl qwen3_vl_moe vibevoice`,
  Qwen3_5Tokenizer: "qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen4_exp",
  RagTokenizer: "rag",
  ReformerTokenizer: "reformer",
  RemBertTokenizer: "rembert",
  RoCBertTokenizer: "roc_bert",
  RoFormerTokenizer: "roformer",
  RobertaTokenizer: "bart bridgetower clap data2vec-text ibert lilt longformer mega mra roberta roberta-prelayernorm",
  SeamlessM4TTokenizer: "seamless_m4t seamless_m4t_v2",
  Siglip2Tokenizer: "siglip2",
  SiglipTokenizer: "siglip",
  Speech2TextTokenizer: "speech_to_text",
  SpeechT5Tokenizer: "speecht5",
  SplinterTokenizer: "splinter",
  T5Tokenizer: "mt5 musicgen musicgen_melody switch_transformers t5",
  TapasTokenizer: "tapas",
  Tipsv2Tokenizer: "tipsv2",
  TokenizersBackend: `
    EvollaModel aria beam bigbird_pegasus canary flex_olmo glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm_image
    glmasr got_ocr2 gpt_bigcode gradium_phonon_tts granite granitemoe granitemoehybrid granitemoeshared kimi_k25
    kimi_linear kosmos-2 mimo_v2_flash minicpm_ocr minicpmv4_6 minicpmv4_7 ministral ministral3 mistral mistral3
    mistral_large4 mixtral nemo_speechlm nystromformer olmo2 olmo3 olmo_hybrid omniasr pegasus_x persimmon pix2struct
    pixtral pocket_tts stablelm umt5 voxtral voxtral_realtime xlm-roberta-xl ernie4_5 minicpmv iquestcoder openvla chatlm
    hyperclovax_vlm llava_next h2ovl_chat nemotron step3_vl molmo phi3 arctic cohere_asr jamba internlm3 phi3_v
    modernbert-decoder hyperclovax phimoe fuyu camembertv2-base nvfp4 internlm2 minimax_m2 opencua molmo2 smolvlm minicpm3
    paddleocr_vl llava modernbert vipllava ernie4_5_moe`,
  UdopTokenizer: "udop",
  VideoPrismTokenizer: "videoprism",
  VitsTokenizer: "vits",
  Wav2Vec2CTCTokenizer: "data2vec-audio hubert unispeech unispeech-sat wav2vec2 wav2vec2-bert wav2vec2-conformer",
  Wav2Vec2PhonemeCTCTokenizer: "wav2vec2_phoneme",
  WhisperTokenizer: "whisper",
  XGLMTokenizer: "xglm",
  XLMRobertaTokenizer: "gte jina_embeddings_v3 metaclip_2 trocr xlm-roberta xmod",
  XLMTokenizer: "xlm",
  XLNetTokenizer: "xlnet",
};

/** The class that AutoTokenizer takes for a model type, if it has one of its own. */
export const classOfModelType: ReadonlyMap<string, string> = new Map(
  Object.entries(typesOfClass).flatMap(([name, types]) => words(types).map((type) => [type, name] as const)),
);

/** Model types whose published tokenizer_config.json names a class that is not followed. */
export const typesWithWrongClass: ReadonlySet<string> = new Set(
  words(`
    arctic camembertv2-base chatlm cohere_asr ernie4_5 ernie4_5_moe fuyu h2ovl_chat hyperclovax hyperclovax_vision_v2
    hyperclovax_vlm internlm2 internlm3 iquestcoder jamba llava llava_next minicpm3 minicpmv minimax_m2 modernbert
    modernbert-decoder molmo molmo2 nemotron nvfp4 opencua openvla paddleocr_vl phi3 phi3_v phimoe qwen2 qwen3_5
    qwen3_5_moe qwen3_5_moe_text qwen4_exp siglip2 smolvlm step3_vl vipllava`),
);

/** Classes that build the tokenizer again from the vocabulary and merges of tokenizer.json, with rules of their own. */
export const rebuiltClasses: ReadonlySet<string> = new Set(
  words(`
    ConvBertTokenizer FNetTokenizer ParakeetTokenizer
    AlbertTokenizer BartTokenizer BarthezTokenizer BertTokenizer BigBirdTokenizer BlenderbotTokenizer CLIPTokenizer
    CamembertTokenizer CodeGenTokenizer CodeLlamaTokenizer CohereTokenizer DPRContextEncoderTokenizer
    DPRQuestionEncoderTokenizer DPRReaderTokenizer DebertaTokenizer DebertaV2Tokenizer DistilBertTokenizer EsmcTokenizer
    FunnelTokenizer GPT2Tokenizer GPTNeoXTokenizer GemmaTokenizer HerbertTokenizer LEDTokenizer LasrTokenizer
    LayoutLMv2Tokenizer LayoutLMv3Tokenizer LayoutXLMTokenizer LlamaTokenizer LukeTokenizer LxmertTokenizer
    MBart50Tokenizer MBartTokenizer MLukeTokenizer MPNetTokenizer MarkupLMTokenizer MobileBertTokenizer MvpTokenizer
    NllbTokenizer NougatTokenizer OpenAIGPTTokenizer PegasusTokenizer Qwen2Tokenizer Qwen3_5Tokenizer ReformerTokenizer
    RemBertTokenizer RoFormerTokenizer RobertaTokenizer SeamlessM4TTokenizer Siglip2Tokenizer SplinterTokenizer
    SqueezeBertTokenizer T5Tokenizer Tipsv2Tokenizer UdopTokenizer VideoPrismTokenizer WhisperTokenizer XGLMTokenizer
    XLMRobertaTokenizer XLNetTokenizer`),
);

/** Classes that are written in Python and do not read tokenizer.json. */
export const pythonClasses: ReadonlySet<string> = new Set(
  words(`
    BartphoTokenizer BertGenerationTokenizer BertJapaneseTokenizer BertTokenizerLegacy BertweetTokenizer BioGptTokenizer
    BlenderbotSmallTokenizer ByT5Tokenizer CTRLTokenizer CanineTokenizer ClvpTokenizer CpmAntTokenizer CpmTokenizer
    DiaTokenizer EsmTokenizer FSMTTokenizer FastSpeech2ConformerTokenizer FlaubertTokenizer GPTNeoXJapaneseTokenizer
    GPTSw3Tokenizer M2M100Tokenizer MarianTokenizer MgpstrTokenizer MyT5Tokenizer PLBartTokenizer PerceiverTokenizer
    PhobertTokenizer ProphetNetTokenizer RoCBertTokenizer SentencePieceBackend SiglipTokenizer Speech2TextTokenizer
    SpeechT5Tokenizer TapasTokenizer VitsTokenizer Wav2Vec2CTCTokenizer Wav2Vec2PhonemeCTCTokenizer XLMTokenizer`),
);
