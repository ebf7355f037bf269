#include "worker/trainer/callbacks/hook_trace.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace lctl {
namespace {

// How many of a call's integers the line shows; -1 = the hook is not recorded.
int shown_numbers(HookOwner owner, Hook hook) {
  switch (hook) {
    case Hook::setup:
    case Hook::teardown:
      return 0;
    case Hook::on_train_batch_start:
    case Hook::on_train_batch_end:
    case Hook::on_validation_batch_start:
    case Hook::on_validation_batch_end:
    case Hook::on_test_batch_start:
    case Hook::on_test_batch_end:
    case Hook::on_predict_batch_start:
    case Hook::on_predict_batch_end:
      return 1;
    case Hook::training_step:
    case Hook::validation_step:
    case Hook::test_step:
    case Hook::predict_step:
      return 1;
    case Hook::optimizer_step:
      return 2;
    case Hook::on_sanity_check_start:
    case Hook::on_sanity_check_end:
    case Hook::on_exception:
      return owner == HookOwner::kCallback ? 0 : -1;
    case Hook::on_before_batch_transfer:
    case Hook::transfer_batch_to_device:
    case Hook::on_after_batch_transfer:
    case Hook::on_validation_model_train:
    case Hook::on_test_model_train:
    case Hook::on_predict_model_train:
    case Hook::configure_callbacks:
    case Hook::state_dict:
    case Hook::load_state_dict:
      return -1;
    default:
      return 0;
  }
}

}  // namespace

HookTrace::HookTrace(std::string path, bool rank_zero) {
  if (!rank_zero) return;
  const std::filesystem::path file(path);
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
  file_.reset(std::fopen(path.c_str(), "we"));
  if (!file_)
    throw std::system_error(errno, std::generic_category(), "HookTrace: cannot write " + path);
}

void HookTrace::entered(HookOwner owner, Hook hook, std::string_view stage,
                        const std::int64_t* numbers, int count) {
  if (!file_) return;
  const int shown = shown_numbers(owner, hook);
  if (shown < 0) return;
  std::string line = owner == HookOwner::kCallback ? "callback."
                     : owner == HookOwner::kModule ? "module."
                                                   : "datamodule.";
  line += hook_name(hook);
  if (!stage.empty()) line.append(" ").append(stage);
  for (int i = 0; i < shown && i < count; ++i) line += " " + std::to_string(numbers[i]);
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), file_.get());
  std::fflush(file_.get());
}

}  // namespace lctl
