// One events file: TFRecord framing, buffered.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "worker/trainer/loggers/appended_file.h"
#include "worker/trainer/loggers/tensorboard_events.pb.h"

namespace lctl {

// What the first record of each file says.
inline constexpr const char* kEventFileVersion = "brain.Event:2";

// Makes the folder and "events.out.tfevents.<seconds>.<host>.<pid>.<n>" in it, n counting the files
// of this process; the first record, the file's version, is on disk when the constructor returns.
// What add() takes waits in memory until flush(), until `max_queue` events wait, or until the
// oldest has waited `flush_secs` when the next one comes: a write system call, no sync. The layout
// is in docs/formats/tensorboard.md.
//
// Errors are those of AppendedFile. Thread rule: one strand only.
class TensorBoardEventFile {
 public:
  struct Options {
    std::size_t max_queue = 10;
    std::chrono::seconds flush_secs{120};
    std::string filename_suffix;
    const Clock* clock = &system_clock();
  };

  TensorBoardEventFile(const std::filesystem::path& folder, Options options);
  ~TensorBoardEventFile();  // closes; an error is lost, so call close() first

  // Stamps the event with the time and appends it.
  void add(tensorboard::Event& event);
  void flush();
  void close() { file_.close(); }

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  const Options options_;
  AppendedFile file_;
  std::size_t waiting_events_ = 0;
  MonotonicTime waiting_since_;
};

}  // namespace lctl
