// torch.optim.lr_scheduler.
#include "jobspec/keys/tables.h"

namespace lctl::jobspec::keys {
namespace {

constexpr Argument kLastEpoch = {"last_epoch", "int", "-1", ">= -1", "epochs done before", "later"};
constexpr Argument kThird = {"factor", "float", "0.3333333333333333", "in [0, 1]",
                             "factor until total_iters"};

constexpr Argument kFunction[] = {{"lr_lambda", "any", kRequired, "", "a Python function"},
                                  kLastEpoch};
constexpr Argument kStep[] = {{"step_size", "int", kRequired, ">= 1", "period"},
                              {"gamma", "float", "0.1", "", "factor"},
                              kLastEpoch};
constexpr Argument kMultiStep[] = {
    {"milestones", "list[int]", kRequired, ">= 0", "when to multiply"},
    {"gamma", "float", "0.1", "", "factor"},
    kLastEpoch};
constexpr Argument kConstant[] = {kThird, {"total_iters", "int", "5", ">= 0", "steps"}, kLastEpoch};
constexpr Argument kLinear[] = {
    {"start_factor", "float", "0.3333333333333333", "in (0, 1]", "first factor"},
    {"end_factor", "float", "1.0", "in [0, 1]", "last factor"},
    {"total_iters", "int", "5", ">= 1", "steps between them"},
    kLastEpoch};
constexpr Argument kExponential[] = {{"gamma", "float", kRequired, "", "factor of each step"},
                                     kLastEpoch};
constexpr Argument kSequential[] = {
    {"schedulers", "schedulers", kRequired, "", "one after another"},
    {"milestones", "list[int]", kRequired, ">= 0", "where the next one starts"},
    kLastEpoch};
constexpr Argument kChained[] = {{"schedulers", "schedulers", kRequired, "", "all at once"}};
constexpr Argument kPolynomial[] = {{"total_iters", "int", "5", ">= 1", "steps to zero"},
                                    {"power", "float", "1.0", "", "power"},
                                    kLastEpoch};
constexpr Argument kCosine[] = {{"T_max", "int", kRequired, ">= 1", "half a period"},
                                {"eta_min", "float", "0.0", "", "lowest rate"},
                                kLastEpoch};
constexpr Argument kWarmRestarts[] = {{"T_0", "int", kRequired, ">= 1", "first period"},
                                      {"T_mult", "int", "1", ">= 1", "growth of the period"},
                                      {"eta_min", "float", "0.0", "", "lowest rate"},
                                      kLastEpoch};
constexpr Argument kPlateau[] = {
    {"mode", "str", "min", "one of: min, max", "which way is better"},
    {"factor", "float", "0.1", "in [0, 1)", "factor"},
    {"patience", "int", "10", ">= 0", "tries without improvement"},
    {"threshold", "float", "0.0001", ">= 0", "what counts as one"},
    {"threshold_mode", "str", "rel", "one of: rel, abs", "how it is measured"},
    {"cooldown", "int", "0", ">= 0", "tries to wait after a change"},
    {"min_lr", "float|list[float]", "0.0", ">= 0", "lowest rate"},
    {"eps", "float", "1e-08", ">= 0", "smallest change"}};
constexpr Argument kCyclic[] = {
    {"base_lr", "float|list[float]", kRequired, ">= 0", "lowest rate"},
    {"max_lr", "float|list[float]", kRequired, ">= 0", "highest rate"},
    {"step_size_up", "int", "2000", ">= 1", "steps up"},
    {"step_size_down", "int?", "null", ">= 1", "steps down; null: as up"},
    {"mode", "str", "triangular", "one of: triangular, triangular2, exp_range", "shape"},
    {"gamma", "float", "1.0", "", "for exp_range"},
    {"scale_fn", "any?", "null", "", "a Python function", "later"},
    {"scale_mode", "str", "cycle", "one of: cycle, iterations", "argument of scale_fn"},
    {"cycle_momentum", "bool", "true", "", "momentum against the rate"},
    {"base_momentum", "float|list[float]", "0.8", "in [0, 1]", "lowest momentum"},
    {"max_momentum", "float|list[float]", "0.9", "in [0, 1]", "highest momentum"},
    kLastEpoch};
constexpr Argument kOneCycle[] = {
    {"max_lr", "float|list[float]", kRequired, ">= 0", "highest rate"},
    {"total_steps", "int?", "null", ">= 1", "steps in all"},
    {"epochs", "int?", "null", ">= 1", "or: epochs …"},
    {"steps_per_epoch", "int?", "null", ">= 1", "… and their steps"},
    {"pct_start", "float", "0.3", "in [0, 1]", "share that goes up"},
    {"anneal_strategy", "str", "cos", "one of: cos, linear", "shape"},
    {"cycle_momentum", "bool", "true", "", "momentum against the rate"},
    {"base_momentum", "float|list[float]", "0.85", "in [0, 1]", "lowest momentum"},
    {"max_momentum", "float|list[float]", "0.95", "in [0, 1]", "highest momentum"},
    {"div_factor", "float", "25.0", "> 0", "first rate = max_lr / div_factor"},
    {"final_div_factor", "float", "10000.0", "> 0", "last rate = first / this"},
    {"three_phase", "bool", "false", "", "a third phase to the last rate"},
    kLastEpoch};
constexpr Argument kSwa[] = {{"swa_lr", "float|list[float]", kRequired, ">= 0", "rate to reach"},
                             {"anneal_epochs", "int", "10", ">= 0", "steps to it"},
                             {"anneal_strategy", "str", "cos", "one of: cos, linear", "shape"},
                             kLastEpoch};

constexpr Class kSchedulers[] = {
    {Kind::kLrScheduler, "StepLR", kStep, true},
    {Kind::kLrScheduler, "MultiStepLR", kMultiStep, true},
    {Kind::kLrScheduler, "ConstantLR", kConstant, true},
    {Kind::kLrScheduler, "LinearLR", kLinear, true},
    {Kind::kLrScheduler, "ExponentialLR", kExponential, true},
    {Kind::kLrScheduler, "PolynomialLR", kPolynomial, true},
    {Kind::kLrScheduler, "CosineAnnealingLR", kCosine, true},
    {Kind::kLrScheduler, "CosineAnnealingWarmRestarts", kWarmRestarts, true},
    {Kind::kLrScheduler, "ReduceLROnPlateau", kPlateau, true},
    {Kind::kLrScheduler, "CyclicLR", kCyclic, true},
    {Kind::kLrScheduler, "OneCycleLR", kOneCycle, true},
    {Kind::kLrScheduler, "SequentialLR", kSequential, true},
    {Kind::kLrScheduler, "ChainedScheduler", kChained, true},
    {Kind::kLrScheduler, "SWALR", kSwa, true},
    {Kind::kLrScheduler, "LambdaLR", kFunction, false},
    {Kind::kLrScheduler, "MultiplicativeLR", kFunction, false},
};

}  // namespace

std::span<const Class> lr_scheduler_classes() { return kSchedulers; }

}  // namespace lctl::jobspec::keys
