// torch.nn layers of declarative models, and lctl's own Select and Transpose.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr std::string_view kSize = "int|list[int]";

constexpr Argument count(std::string_view name) {
  return {name, "int", kRequired, "in [1, 1000000000]"};
}
constexpr Argument flag(std::string_view name, std::string_view fallback) {
  return {name, "bool", fallback};
}
constexpr Argument number(std::string_view name, std::string_view fallback) {
  return {name, "float", fallback};
}
constexpr Argument kEps = {"eps", "float", "1e-05", ">= 0"};
constexpr Argument kBias = {"bias", "bool", "true"};
constexpr Argument kInplace = {"inplace", "bool", "false"};
constexpr Argument kDim = {"dim", "int?", "null"};
constexpr Argument kPaddingMode = {"padding_mode", "str", "zeros",
                                   "one of: zeros, reflect, replicate, circular"};

constexpr Argument kLinear[] = {count("in_features"), count("out_features"), kBias};
constexpr Argument kBilinear[] = {count("in1_features"), count("in2_features"),
                                  count("out_features"), kBias};
constexpr Argument kConv[] = {
    count("in_channels"),
    count("out_channels"),
    {"kernel_size", kSize, kRequired, ">= 1"},
    {"stride", kSize, "1", ">= 1"},
    {"padding", "int|list[int]|str", "0", ">= 0"},
    {"dilation", kSize, "1", ">= 1"},
    {"groups", "int", "1", ">= 1"},
    kBias,
    kPaddingMode,
};
constexpr Argument kConvTranspose[] = {
    count("in_channels"),
    count("out_channels"),
    {"kernel_size", kSize, kRequired, ">= 1"},
    {"stride", kSize, "1", ">= 1"},
    {"padding", kSize, "0", ">= 0"},
    {"output_padding", kSize, "0", ">= 0"},
    {"groups", "int", "1", ">= 1"},
    kBias,
    {"dilation", kSize, "1", ">= 1"},
    {"padding_mode", "str", "zeros", "one of: zeros"},
};
constexpr Argument kMaxPool[] = {
    {"kernel_size", kSize, kRequired, ">= 1"},
    {"stride", "int|list[int]?", "null", ">= 1"},
    {"padding", kSize, "0", ">= 0"},
    {"dilation", kSize, "1", ">= 1"},
    {"return_indices", "bool", "false", "", "", "later"},
    flag("ceil_mode", "false"),
};
constexpr Argument kAvgPool1d[] = {
    {"kernel_size", kSize, kRequired, ">= 1"}, {"stride", "int|list[int]?", "null", ">= 1"},
    {"padding", kSize, "0", ">= 0"},           flag("ceil_mode", "false"),
    flag("count_include_pad", "true"),
};
constexpr Argument kAvgPool[] = {
    {"kernel_size", kSize, kRequired, ">= 1"}, {"stride", "int|list[int]?", "null", ">= 1"},
    {"padding", kSize, "0", ">= 0"},           flag("ceil_mode", "false"),
    flag("count_include_pad", "true"),         {"divisor_override", "int?", "null", ">= 1"},
};
constexpr Argument kAdaptivePool[] = {{"output_size", kSize, kRequired, ">= 1"}};
constexpr Argument kAdaptiveMaxPool[] = {{"output_size", kSize, kRequired, ">= 1"},
                                         {"return_indices", "bool", "false", "", "", "later"}};
constexpr Argument kBatchNorm[] = {count("num_features"),
                                   kEps,
                                   {"momentum", "float?", "0.1", "in [0, 1]"},
                                   flag("affine", "true"),
                                   flag("track_running_stats", "true")};
constexpr Argument kInstanceNorm[] = {count("num_features"),
                                      kEps,
                                      {"momentum", "float?", "0.1", "in [0, 1]"},
                                      flag("affine", "false"),
                                      flag("track_running_stats", "false")};
constexpr Argument kLayerNorm[] = {{"normalized_shape", kSize, kRequired, ">= 1"},
                                   kEps,
                                   flag("elementwise_affine", "true"),
                                   kBias};
constexpr Argument kGroupNorm[] = {count("num_groups"), count("num_channels"), kEps,
                                   flag("affine", "true")};
constexpr Argument kRmsNorm[] = {{"normalized_shape", kSize, kRequired, ">= 1"},
                                 {"eps", "float?", "null", ">= 0"},
                                 flag("elementwise_affine", "true")};
constexpr Argument kEmbedding[] = {
    count("num_embeddings"),
    count("embedding_dim"),
    {"padding_idx", "int?", "null"},
    {"max_norm", "float?", "null", "> 0"},
    number("norm_type", "2.0"),
    flag("scale_grad_by_freq", "false"),
    {"sparse", "bool", "false", "", "", "later"},
};
constexpr Argument kLstm[] = {
    count("input_size"),
    count("hidden_size"),
    {"num_layers", "int", "1", ">= 1"},
    kBias,
    flag("batch_first", "false"),
    {"dropout", "float", "0.0", "in [0, 1]"},
    flag("bidirectional", "false"),
    {"proj_size", "int", "0", ">= 0"},
};
constexpr Argument kGru[] = {
    count("input_size"),
    count("hidden_size"),
    {"num_layers", "int", "1", ">= 1"},
    kBias,
    flag("batch_first", "false"),
    {"dropout", "float", "0.0", "in [0, 1]"},
    flag("bidirectional", "false"),
};
constexpr Argument kRnn[] = {
    count("input_size"),
    count("hidden_size"),
    {"num_layers", "int", "1", ">= 1"},
    {"nonlinearity", "str", "tanh", "one of: tanh, relu"},
    kBias,
    flag("batch_first", "false"),
    {"dropout", "float", "0.0", "in [0, 1]"},
    flag("bidirectional", "false"),
};
constexpr Argument kTransformerEncoder[] = {
    count("d_model"),
    count("nhead"),
    {"dim_feedforward", "int", "2048", ">= 1"},
    {"dropout", "float", "0.1", "in [0, 1]"},
    {"activation", "str", "relu", "one of: relu, gelu"},
    {"layer_norm_eps", "float", "1e-05", ">= 0"},
    flag("batch_first", "false"),
    flag("norm_first", "false"),
    kBias,
};
constexpr Argument kDropout[] = {{"p", "float", "0.5", "in [0, 1]"}, kInplace};
constexpr Argument kFlatten[] = {{"start_dim", "int", "1"}, {"end_dim", "int", "-1"}};
constexpr Argument kUnflatten[] = {{"dim", "int", kRequired},
                                   {"unflattened_size", "list[int]", kRequired}};
constexpr Argument kTranspose[] = {{"dim0", "int", kRequired}, {"dim1", "int", kRequired}};
constexpr Argument kSelect[] = {{"dim", "int", kRequired}, {"index", "int", kRequired}};
constexpr Argument kActivation[] = {kInplace};
constexpr Argument kGelu[] = {{"approximate", "str", "none", "one of: none, tanh"}};
constexpr Argument kLeakyRelu[] = {number("negative_slope", "0.01"), kInplace};
constexpr Argument kAlpha[] = {number("alpha", "1.0"), kInplace};
constexpr Argument kPrelu[] = {{"num_parameters", "int", "1", ">= 1"}, number("init", "0.25")};
constexpr Argument kSoftplus[] = {number("beta", "1.0"), number("threshold", "20.0")};
constexpr Argument kShrink[] = {number("lambd", "0.5")};
constexpr Argument kThreshold[] = {number("threshold", kRequired), number("value", kRequired),
                                   kInplace};
constexpr Argument kHardtanh[] = {number("min_val", "-1.0"), number("max_val", "1.0"), kInplace};
constexpr Argument kRrelu[] = {number("lower", "0.125"), number("upper", "0.3333333333333333"),
                               kInplace};
constexpr Argument kSoftmax[] = {kDim};
constexpr Argument kGlu[] = {{"dim", "int", "-1"}};
constexpr Argument kUpsample[] = {
    {"size", "int|list[int]?", "null", ">= 1"},
    {"scale_factor", "float|list[float]?", "null", "> 0"},
    {"mode", "str", "nearest",
     "one of: nearest, nearest-exact, linear, bilinear, bicubic, trilinear"},
    {"align_corners", "bool?", "null"},
    {"recompute_scale_factor", "bool?", "null"}};
constexpr Argument kPixelShuffle[] = {{"upscale_factor", "int", kRequired, ">= 1"}};

constexpr Class layer(std::string_view name, std::span<const Argument> arguments = {},
                      bool available = true) {
  return {Kind::kLayer, name, arguments, available};
}

constexpr Class kLayers[] = {
    layer("Linear", kLinear),
    layer("Conv1d", kConv),
    layer("Conv2d", kConv),
    layer("Conv3d", kConv),
    layer("BatchNorm1d", kBatchNorm),
    layer("BatchNorm2d", kBatchNorm),
    layer("BatchNorm3d", kBatchNorm),
    layer("LayerNorm", kLayerNorm),
    layer("GroupNorm", kGroupNorm),
    layer("MaxPool1d", kMaxPool),
    layer("MaxPool2d", kMaxPool),
    layer("AvgPool1d", kAvgPool1d),
    layer("AvgPool2d", kAvgPool),
    layer("AdaptiveAvgPool1d", kAdaptivePool),
    layer("AdaptiveAvgPool2d", kAdaptivePool),
    layer("AdaptiveMaxPool2d", kAdaptiveMaxPool),
    layer("Embedding", kEmbedding),
    layer("LSTM", kLstm),
    layer("GRU", kGru),
    layer("RNN", kRnn),
    layer("TransformerEncoderLayer", kTransformerEncoder),
    layer("Dropout", kDropout),
    layer("Dropout1d", kDropout),
    layer("Dropout2d", kDropout),
    layer("Flatten", kFlatten),
    layer("Unflatten", kUnflatten),
    layer("Identity"),
    layer("Select", kSelect),
    layer("Transpose", kTranspose),
    layer("ReLU", kActivation),
    layer("ReLU6", kActivation),
    layer("LeakyReLU", kLeakyRelu),
    layer("ELU", kAlpha),
    layer("CELU", kAlpha),
    layer("SELU", kActivation),
    layer("PReLU", kPrelu),
    layer("GELU", kGelu),
    layer("SiLU", kActivation),
    layer("Mish", kActivation),
    layer("Sigmoid"),
    layer("LogSigmoid"),
    layer("Tanh"),
    layer("Hardtanh", kHardtanh),
    layer("Hardsigmoid", kActivation),
    layer("Hardswish", kActivation),
    layer("Softplus", kSoftplus),
    layer("Softsign"),
    layer("Tanhshrink"),
    layer("Softshrink", kShrink),
    layer("Hardshrink", kShrink),
    layer("Threshold", kThreshold),
    layer("Softmax", kSoftmax),
    layer("LogSoftmax", kSoftmax),
    layer("Softmin", kSoftmax),
    layer("GLU", kGlu),
    layer("Bilinear", kBilinear, false),
    layer("RMSNorm", kRmsNorm),
    layer("ConvTranspose1d", kConvTranspose),
    layer("ConvTranspose2d", kConvTranspose),
    layer("ConvTranspose3d", kConvTranspose),
    layer("MaxPool3d", kMaxPool),
    layer("AvgPool3d", kAvgPool),
    layer("AdaptiveAvgPool3d", kAdaptivePool),
    layer("AdaptiveMaxPool1d", kAdaptiveMaxPool),
    layer("InstanceNorm1d", kInstanceNorm),
    layer("InstanceNorm2d", kInstanceNorm),
    layer("Dropout3d", kDropout),
    layer("AlphaDropout", kDropout),
    layer("RReLU", kRrelu),
    layer("Upsample", kUpsample),
    layer("PixelShuffle", kPixelShuffle),
};

}  // namespace

std::span<const Class> layer_classes() { return kLayers; }

}  // namespace lctl::jobspec::keys
