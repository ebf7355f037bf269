// torch.optim.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr std::string_view kPositive = ">= 0";
constexpr std::string_view kBetas = "two in [0, 1)";

// Arguments that many optimizers share.
constexpr Argument lr(std::string_view fallback) {
  return {"lr", "float", fallback, kPositive, "learning rate"};
}
constexpr Argument eps(std::string_view fallback) {
  return {"eps", "float", fallback, kPositive, "keeps divisions finite"};
}
constexpr Argument weight_decay(std::string_view fallback) {
  return {"weight_decay", "float", fallback, kPositive, "L2 penalty (AdamW: decoupled decay)"};
}
constexpr Argument kAdamBetas = {"betas", "list[float]", "[0.9, 0.999]", kBetas,
                                 "decay of the averages"};
constexpr Argument kAmsgrad = {"amsgrad", "bool", "false", "", "the AMSGrad variant"};
constexpr Argument kDecoupled = {"decoupled_weight_decay", "bool", "false", "",
                                 "decay as in AdamW"};
constexpr Argument kMaximize = {"maximize", "bool", "false", "", "go up instead of down"};
constexpr Argument kFused = {"fused", "bool?", "null", "", "one kernel for all parameters"};
constexpr Argument kForeach = {"foreach", "bool?", "null", "",
                               "torch's multi-tensor code; here the same loop"};
constexpr Argument kCapturable = {"capturable", "bool", "false", "", "for CUDA graphs", "later"};
constexpr Argument kDifferentiable = {"differentiable",          "bool", "false", "",
                                      "autograd through step()", "later"};

constexpr Argument kSgd[] = {lr("0.001"),
                             {"momentum", "float", "0.0", kPositive, "momentum factor"},
                             {"dampening", "float", "0.0", "", "dampening of momentum"},
                             weight_decay("0.0"),
                             {"nesterov", "bool", "false", "", "Nesterov momentum"},
                             kMaximize,
                             kForeach,
                             kDifferentiable,
                             kFused};
constexpr Argument kAdam[] = {lr("0.001"),     kAdamBetas, eps("1e-08"), weight_decay("0.0"),
                              kAmsgrad,        kForeach,   kMaximize,    kCapturable,
                              kDifferentiable, kFused,     kDecoupled};
constexpr Argument kAdamW[] = {lr("0.001"),     kAdamBetas, eps("1e-08"), weight_decay("0.01"),
                               kAmsgrad,        kMaximize,  kForeach,     kCapturable,
                               kDifferentiable, kFused};
constexpr Argument kAdagrad[] = {
    lr("0.01"),
    {"lr_decay", "float", "0.0", kPositive, "decay of the learning rate"},
    weight_decay("0.0"),
    {"initial_accumulator_value", "float", "0.0", kPositive, "start of the sums"},
    eps("1e-10"),
    kForeach,
    kMaximize,
    kDifferentiable,
    kFused};
constexpr Argument kRmsprop[] = {lr("0.01"),
                                 {"alpha", "float", "0.99", kPositive, "smoothing"},
                                 eps("1e-08"),
                                 weight_decay("0.0"),
                                 {"momentum", "float", "0.0", kPositive, "momentum factor"},
                                 {"centered", "bool", "false", "", "divide by the variance"},
                                 kCapturable,
                                 kForeach,
                                 kMaximize,
                                 kDifferentiable};
constexpr Argument kNadam[] = {lr("0.002"),
                               kAdamBetas,
                               eps("1e-08"),
                               weight_decay("0.0"),
                               {"momentum_decay", "float", "0.004", kPositive, "decay of momentum"},
                               kDecoupled,
                               kForeach,
                               kMaximize,
                               kCapturable,
                               kDifferentiable};
constexpr Argument kRadam[] = {lr("0.001"),         kAdamBetas,  eps("1e-08"),
                               weight_decay("0.0"), kDecoupled,  kForeach,
                               kMaximize,           kCapturable, kDifferentiable};
constexpr Argument kAdadelta[] = {
    lr("1.0"),    {"rho", "float", "0.9", "in [0, 1]", "decay of the average"},
    eps("1e-06"), weight_decay("0.0"),
    kForeach,     kCapturable,
    kMaximize,    kDifferentiable};
constexpr Argument kAdamax[] = {lr("0.002"), kAdamBetas, eps("1e-08"),    weight_decay("0.0"),
                                kForeach,    kMaximize,  kDifferentiable, kCapturable};
constexpr Argument kAsgd[] = {lr("0.01"),
                              {"lambd", "float", "0.0001", "", "decay term"},
                              {"alpha", "float", "0.75", "", "power of the learning rate"},
                              {"t0", "float", "1000000.0", "", "start of averaging"},
                              weight_decay("0.0"),
                              kForeach,
                              kMaximize,
                              kDifferentiable,
                              kCapturable};
constexpr Argument kRprop[] = {
    lr("0.01"),
    {"etas", "list[float]", "[0.5, 1.2]", "two > 0", "factors down and up"},
    {"step_sizes", "list[float]", "[1e-06, 50]", "two > 0", "smallest and largest step"},
    kCapturable,
    kForeach,
    kMaximize,
    kDifferentiable};
constexpr Argument kLbfgs[] = {
    lr("1.0"),
    {"max_iter", "int", "20", ">= 1", "iterations of a step"},
    {"max_eval", "int?", "null", ">= 1", "evaluations of a step; null: max_iter * 1.25"},
    {"tolerance_grad", "float", "1e-07", kPositive, "stop at this gradient"},
    {"tolerance_change", "float", "1e-09", kPositive, "stop at this change"},
    {"history_size", "int", "100", ">= 1", "updates kept"},
    {"line_search_fn", "str?", "null", "one of: strong_wolfe", "line search"}};
constexpr Argument kSparseAdam[] = {lr("0.001"), kAdamBetas, eps("1e-08"), kMaximize};
constexpr Argument kAdafactor[] = {
    lr("0.01"),
    {"beta2_decay", "float", "-0.8", "<= 0", "decay of the second moment"},
    {"eps", "list", "[null, 0.001]", "two >= 0",
     "two regularizers; null: the type's smallest step"},
    {"d", "float", "1.0", ">= 1", "clipping of updates"},
    weight_decay("0.0"),
    kForeach,
    kMaximize};
constexpr Argument kMuon[] = {
    lr("0.001"),
    weight_decay("0.1"),
    {"momentum", "float", "0.95", kPositive, "momentum factor"},
    {"nesterov", "bool", "true", "", "Nesterov momentum"},
    {"ns_coefficients", "list[float]", "[3.4445, -4.775, 2.0315]", "three", "Newton-Schulz"},
    eps("1e-07"),
    {"ns_steps", "int", "5", "in [0, 100)", "Newton-Schulz steps"},
    {"adjust_lr_fn", "str?", "null", "one of: original, match_rms_adamw", "adjustment"}};

constexpr Class kOptimizers[] = {
    {Kind::kOptimizer, "SGD", kSgd, true},
    {Kind::kOptimizer, "Adam", kAdam, true},
    {Kind::kOptimizer, "AdamW", kAdamW, true},
    {Kind::kOptimizer, "Adagrad", kAdagrad, true},
    {Kind::kOptimizer, "RMSprop", kRmsprop, true},
    {Kind::kOptimizer, "NAdam", kNadam, true},
    {Kind::kOptimizer, "RAdam", kRadam, true},
    {Kind::kOptimizer, "Adadelta", kAdadelta, true},
    {Kind::kOptimizer, "Adamax", kAdamax, true},
    {Kind::kOptimizer, "ASGD", kAsgd, true},
    {Kind::kOptimizer, "Rprop", kRprop, true},
    {Kind::kOptimizer, "LBFGS", kLbfgs, true},
    {Kind::kOptimizer, "SparseAdam", kSparseAdam, false},
    {Kind::kOptimizer, "Adafactor", kAdafactor, true},
    {Kind::kOptimizer, "Muon", kMuon, true},
};

}  // namespace

std::span<const Class> optimizer_classes() { return kOptimizers; }

}  // namespace lctl::jobspec::keys
