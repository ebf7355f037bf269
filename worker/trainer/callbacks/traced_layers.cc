#include "worker/trainer/callbacks/traced_layers.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace lctl {
namespace {

using torch::nn::Module;

// "torch::nn::LinearImpl" -> "Linear", also without "Impl", as some name themselves; "" for classes
// that are neither LibTorch's nor our batch normalisations.
std::string torch_class(const Module& module) {
  std::string name = module.name();
  if (name.starts_with("torch::nn::")) {
    name.erase(0, std::string_view("torch::nn::").size());
  } else if (name.starts_with("lctl::BatchNorm")) {
    name.erase(0, std::string_view("lctl::").size());
  } else {
    return {};
  }
  if (name.ends_with("Impl")) name.resize(name.size() - 4);
  return name;
}

struct Known {
  std::string_view module;
  std::string_view op;
};

// Classes whose forward is this one operator on their input, and reads their parameters. LibTorch's
// Linear takes its weight through aten::t, and may add its bias afterwards.
constexpr Known kWithParameters[] = {
    {"Linear", "aten::linear"},
    {"Linear", "aten::addmm"},
    {"Linear", "aten::matmul"},
    {"Conv1d", "aten::conv1d"},
    {"Conv2d", "aten::conv2d"},
    {"Conv3d", "aten::conv3d"},
    {"ConvTranspose1d", "aten::conv_transpose1d"},
    {"ConvTranspose2d", "aten::conv_transpose2d"},
    {"ConvTranspose3d", "aten::conv_transpose3d"},
    {"BatchNorm1d", "aten::batch_norm"},
    {"BatchNorm2d", "aten::batch_norm"},
    {"BatchNorm3d", "aten::batch_norm"},
    {"LayerNorm", "aten::layer_norm"},
    {"GroupNorm", "aten::group_norm"},
    {"Embedding", "aten::embedding"},
    {"PReLU", "aten::prelu"},
    {"LSTM", "aten::lstm"},
    {"GRU", "aten::gru"},
    {"RNN", "aten::rnn_tanh"},
    {"RNN", "aten::rnn_relu"},
};

// The same without parameters.
constexpr Known kWithout[] = {
    {"ReLU", "aten::relu"},
    {"ReLU", "aten::relu_"},
    {"GELU", "aten::gelu"},
    {"SiLU", "aten::silu"},
    {"ELU", "aten::elu"},
    {"LeakyReLU", "aten::leaky_relu"},
    {"Sigmoid", "aten::sigmoid"},
    {"Tanh", "aten::tanh"},
    {"Softmax", "aten::softmax"},
    {"LogSoftmax", "aten::log_softmax"},
    {"Dropout", "aten::dropout"},
    {"Dropout2d", "aten::feature_dropout"},
    {"Dropout3d", "aten::feature_dropout"},
    {"AlphaDropout", "aten::alpha_dropout"},
    {"Flatten", "aten::flatten"},
    {"MaxPool1d", "aten::max_pool1d"},
    {"MaxPool2d", "aten::max_pool2d"},
    {"MaxPool3d", "aten::max_pool3d"},
    {"AvgPool1d", "aten::avg_pool1d"},
    {"AvgPool2d", "aten::avg_pool2d"},
    {"AvgPool3d", "aten::avg_pool3d"},
    {"AdaptiveAvgPool1d", "aten::adaptive_avg_pool1d"},
    {"AdaptiveAvgPool2d", "aten::adaptive_avg_pool2d"},
    {"AdaptiveAvgPool3d", "aten::adaptive_avg_pool3d"},
};

template <std::size_t N>
bool is_known(const Known (&table)[N], const std::string& module, const std::string& op) {
  return std::any_of(std::begin(table), std::end(table),
                     [&](const Known& row) { return row.module == module && row.op == op; });
}

bool has_one_operator(const std::string& module) {
  return std::any_of(std::begin(kWithParameters), std::end(kWithParameters),
                     [&](const Known& row) { return row.module == module; });
}

bool is_without_parameters(const Module& module) {
  const std::string name = torch_class(module);
  return std::any_of(std::begin(kWithout), std::end(kWithout),
                     [&](const Known& row) { return row.module == name; });
}

// A convolution that pads by other values than zeros does so in an operator before its own.
template <typename Conv>
bool pads_before(const Module& module) {
  const auto* conv = dynamic_cast<const Conv*>(&module);
  return conv != nullptr &&
         !std::holds_alternative<torch::enumtype::kZeros>(conv->options.padding_mode());
}

bool takes_its_input_whole(const Module& module) {
  return !pads_before<torch::nn::Conv1dImpl>(module) &&
         !pads_before<torch::nn::Conv2dImpl>(module) && !pads_before<torch::nn::Conv3dImpl>(module);
}

bool is_recurrent(const std::string& name) {
  return name == "LSTM" || name == "GRU" || name == "RNN";
}

std::vector<const Module*> children_of(const Module& module) {
  std::vector<const Module*> children;
  for (const auto& child : module.named_children()) children.push_back(child.value().get());
  return children;
}

bool is_attention(const Module& module) { return torch_class(module) == "MultiheadAttention"; }

// Parameters and buffers that an operator of this module reads. An attention uses those of its
// output projection without calling it.
std::vector<at::Tensor> state_of(const Module& module) {
  std::vector<at::Tensor> state;
  for (const auto& item : module.named_parameters(is_attention(module)))
    state.push_back(item.value());
  for (const auto& item : module.named_buffers(is_attention(module))) state.push_back(item.value());
  std::erase_if(state, [](const at::Tensor& tensor) { return !tensor.defined(); });
  return state;
}

bool reads(const TracedOperator& traced, const std::vector<at::Tensor>& state) {
  return std::any_of(traced.inputs.begin(), traced.inputs.end(), [&](const at::Tensor& input) {
    return std::any_of(state.begin(), state.end(),
                       [&](const at::Tensor& tensor) { return tensor.is_same(input); });
  });
}

}  // namespace

std::string sizes_text(const at::Tensor& tensor) {
  if (tensor.dim() == 0) return "?";
  std::string text = "[";
  for (const std::int64_t size : tensor.sizes())
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

TracedLayers::TracedLayers(const Module& model, const std::vector<TracedOperator>& operators)
    : operators_(operators) {
  std::vector<Owner> owners;
  collect_owners(model, owners);
  for (std::size_t i = 0; i < operators_.size(); ++i) {
    if (operators_[i].name == "aten::t") {
      add_transposed(operators_[i], owners);
    } else {
      attribute(i, owners);
    }
  }
  find_sequentials(model);
}

// ---- modules with parameters

void TracedLayers::collect_owners(const Module& module, std::vector<Owner>& owners) {
  owners.push_back({&module, torch_class(module), state_of(module)});
  if (owners.back().state.empty()) owners.pop_back();
  if (is_attention(module)) return;
  for (const Module* child : children_of(module)) collect_owners(*child, owners);
}

// A transposed parameter is read as the parameter is.
void TracedLayers::add_transposed(const TracedOperator& traced, std::vector<Owner>& owners) {
  for (Owner& owner : owners) {
    if (!traced.outputs.empty() && reads(traced, owner.state))
      owner.state.push_back(traced.outputs.front());
  }
}

void TracedLayers::attribute(std::size_t index, const std::vector<Owner>& owners) {
  const TracedOperator& traced = operators_[index];
  std::vector<const Owner*> callers;  // whose forward this operator is
  std::vector<const Owner*> readers;  // that may have run it among others
  for (const Owner& owner : owners) {
    if (!reads(traced, owner.state)) continue;
    if (is_known(kWithParameters, owner.name, traced.name)) {
      callers.push_back(&owner);
    } else if (!has_one_operator(owner.name)) {
      readers.push_back(&owner);
    }
  }
  // Parameters that modules share tell them apart only where just one runs such an operator.
  if (callers.size() + readers.size() != 1) {
    all_attributed_ = all_attributed_ && traced.flops == 0;
    return;
  }
  const Owner& owner = callers.empty() ? *readers.front() : *callers.front();
  flops_[owner.module] += traced.flops;
  if (callers.empty() || calls_.contains(owner.module)) return;
  auto call = call_of_operator(index, *owner.module);
  if (!call) return;
  if (owner.name == "Linear") take_neighbours(*call, owner);
  calls_.emplace(owner.module, *std::move(call));
}

// The transposition before a Linear's product, and the addition of its bias after it.
void TracedLayers::take_neighbours(Call& call, const Owner& linear) const {
  if (call.first > 0 && operators_[call.first - 1].name == "aten::t" &&
      reads(operators_[call.first - 1], linear.state))
    --call.first;
  const std::size_t next = call.last + 1;
  if (next < operators_.size() && operators_[next].name == "aten::add_" &&
      operators_[next].inputs.size() == 2 && operators_[next].inputs[0].is_same(call.output) &&
      reads(operators_[next], linear.state))
    call.last = next;
}

std::optional<TracedLayers::Call> TracedLayers::call_of_operator(std::size_t index,
                                                                 const Module& module) const {
  const TracedOperator& traced = operators_[index];
  const std::string name = torch_class(module);
  if (traced.outputs.empty() || traced.inputs.empty() || !takes_its_input_whole(module))
    return std::nullopt;
  // An embedding's table stands before its indices, the bias of a product before its factors.
  const bool second = name == "Embedding" || traced.name == "aten::addmm";
  if (second && traced.inputs.size() < 2) return std::nullopt;
  const at::Tensor& input = traced.inputs[second ? 1 : 0];
  Call call{
      input, traced.outputs.front(), sizes_text(input), sizes_text(traced.outputs.front()), index,
      index};
  if (is_recurrent(name)) {
    // Whether a state was given with the input cannot be seen.
    call.in = "?";
    std::string state;
    for (std::size_t i = 1; i < traced.outputs.size(); ++i)
      state += (i > 1 ? ", " : "") + sizes_text(traced.outputs[i]);
    call.out = "[" + call.out + ", " + (name == "LSTM" ? "[" + state + "]" : state) + "]";
  }
  return call;
}

// ---- torch::nn::Sequential

void TracedLayers::find_sequentials(const Module& module) {
  const std::vector<const Module*> children = children_of(module);
  for (const Module* child : children) find_sequentials(*child);
  if (dynamic_cast<const torch::nn::SequentialImpl*>(&module) == nullptr || children.empty())
    return;
  follow(children);
  join(module, children);
}

bool TracedLayers::runs(std::size_t index, const Module& module) const {
  return index < operators_.size() && !operators_[index].inputs.empty() &&
         !operators_[index].outputs.empty() &&
         is_known(kWithout, torch_class(module), operators_[index].name);
}

// A module without parameters took what the one before it gave, in the very next operator; or gave
// what the one after it took, in the operator before.
void TracedLayers::follow(const std::vector<const Module*>& children) {
  for (std::size_t i = 1; i < children.size(); ++i) {
    const auto before = calls_.find(children[i - 1]);
    if (before == calls_.end() || calls_.contains(children[i])) continue;
    const std::size_t next = before->second.last + 1;
    if (runs(next, *children[i]) && operators_[next].inputs[0].is_same(before->second.output)) {
      if (auto call = call_of_operator(next, *children[i])) calls_.emplace(children[i], *call);
    }
  }
  for (std::size_t i = children.size() - 1; i > 0; --i) {
    const auto after = calls_.find(children[i]);
    if (after == calls_.end() || calls_.contains(children[i - 1]) || after->second.first == 0)
      continue;
    const std::size_t previous = after->second.first - 1;
    if (runs(previous, *children[i - 1]) &&
        operators_[previous].outputs[0].is_same(after->second.input)) {
      if (auto call = call_of_operator(previous, *children[i - 1]))
        calls_.emplace(children[i - 1], *call);
    }
  }
}

void TracedLayers::join(const Module& sequential, const std::vector<const Module*>& children) {
  for (std::size_t i = 0; i < children.size(); ++i) {
    const auto call = calls_.find(children[i]);
    if (call == calls_.end()) return;
    if (i == 0) continue;
    if (!calls_.at(children[i - 1]).output.is_same(call->second.input)) return;
  }
  const Call& first = calls_.at(children.front());
  const Call& last = calls_.at(children.back());
  calls_.emplace(&sequential,
                 Call{first.input, last.output, first.in, last.out, first.first, last.last});
}

// ---- the answer

std::optional<std::int64_t> TracedLayers::flops_of(const Module& module) const {
  const auto own = flops_.find(&module);
  std::int64_t sum = own == flops_.end() ? 0 : own->second;
  const bool certain = all_attributed_ || calls_.contains(&module) || is_without_parameters(module);
  if (!certain) return std::nullopt;
  for (const Module* child : children_of(module)) {
    const std::optional<std::int64_t> flops = flops_of(*child);
    if (!flops) return std::nullopt;
    sum += *flops;
  }
  return sum;
}

LayerSizes TracedLayers::sizes_of(const Module& module) const {
  LayerSizes sizes;
  if (const auto call = calls_.find(&module); call != calls_.end()) {
    sizes.in = call->second.in;
    sizes.out = call->second.out;
  }
  sizes.flops = flops_of(module);
  return sizes;
}

}  // namespace lctl
