// Writes a line for every hook call: what the conformance suite compares.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/trainer/hook_caller.h"

namespace lctl {

// "owner.hook arguments" per line (docs/trainer.md, "Hook trace"), at the moment the hook is
// entered; rank 0 only. The file is emptied when the callback is made. Thread rule: one strand only
// (the training thread).
class HookTrace final : public Callback, public HookObserver {
 public:
  // Throws std::system_error when the file cannot be made.
  HookTrace(std::string path, bool rank_zero);

  std::string type_name() const override { return "HookTrace"; }
  void entered(HookOwner owner, Hook hook, std::string_view stage, const std::int64_t* numbers,
               int count) override;

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, CloseFile> file_;  // null on other ranks
};

}  // namespace lctl
