// Stands in for lctl-trainer in tests of the node daemon: does what its "configuration" says, line
// by line, with the real spool.
//
//   test_trainer fit --config FILE
//
//   print TEXT | complain TEXT    a line on stdout | stderr
//   complain_bytes TEXT           a line on stderr that is no UTF-8
//   variables NAME...             prints NAME=VALUE
//   ready                         event RankReady
//   metrics FROM TO               events MetricPoints for these steps, each with a line on stdout
//   endless                       the same without end, until SIGTERM; about one each millisecond
//   fill BYTES                    that much stdout, in lines
//   checkpoint NAME BYTES         a staged file and its event
//   show_resume                   prints size and first byte of LCTL_RESUME_CKPT
//   accept                        prints the port that LCTL_RENDEZVOUS_FD listens on
//   flush                         waits until the events are in the file
//   damage                        spoils the spool behind what is in it
//   pulse                         keeps a pulse, and begins to train
//   batches COUNT                 trains so many batches, each with one all_reduce
//   stacks                        writes "the stacks" on stderr when it is asked for stacks
//   wait_file PATH                waits until it exists
//   wait_term                     waits for SIGTERM
//   on_term_finish CODE           after SIGTERM: a stop checkpoint, event Finished, exit CODE
//   ignore_term
//   kill SIGNAL                   sends it to itself
//   exit CODE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "base/clock.h"
#include "worker/pulse/pulse.h"
#include "worker/spool/spool_writer.h"

namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "<unset>" : value;
}

void pause_ms(long ms) {
  const timespec time{ms / 1000, ms % 1000 * 1'000'000};
  nanosleep(&time, nullptr);
}

class Script {
 public:
  Script() {
    auto opened = lctl::spool::SpoolWriter::open({.file = variable("LCTL_SPOOL")});
    if (!opened.ok()) fail(std::string(lctl::message_of(opened.status())));
    spool_ = *std::move(opened);
  }

  void run(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    std::string rest;
    std::getline(words >> std::ws, rest);
    if (verb == "print")
      std::printf("%s\n", rest.c_str());
    else if (verb == "complain")
      std::fprintf(stderr, "%s\n", rest.c_str());
    else if (verb == "complain_bytes")
      std::fprintf(stderr, "%s \xff\n", rest.c_str());
    else if (verb == "variables")
      print_variables(rest);
    else if (verb == "ready")
      append([](auto& event) { event.mutable_ready()->set_pid(getpid()); });
    else if (verb == "metrics")
      metrics(rest);
    else if (verb == "endless")
      endless();
    else if (verb == "fill")
      fill(std::stoul(rest));
    else if (verb == "checkpoint")
      checkpoint(rest, lctl::v1::CHECKPOINT_KIND_MODEL);
    else if (verb == "show_resume")
      show_resume();
    else if (verb == "accept")
      show_port();
    else if (verb == "flush")
      check(spool_->flush());
    else if (verb == "damage")
      damage();
    else if (verb == "pulse")
      check(lctl::pulse::keep(variable("LCTL_PULSE")));
    else if (verb == "batches")
      batches(std::stol(rest));
    else if (verb == "stacks")
      answer_with_stacks();
    else if (verb == "wait_file")
      while (!std::filesystem::exists(rest)) pause_ms(1);
    else if (verb == "wait_term")
      while (asked_to_stop == 0) pause_ms(1);
    else if (verb == "on_term_finish")
      finish(std::stoi(rest));
    else if (verb == "ignore_term")
      std::signal(SIGTERM, SIG_IGN);
    else if (verb == "kill")
      check(spool_->flush()), std::fflush(stdout), raise(std::stoi(rest));
    else if (verb == "exit")
      leave(std::stoi(rest));
    else if (!verb.empty())
      fail("unknown verb " + verb);
    std::fflush(stdout);
  }

  [[noreturn]] void leave(int code) {
    spool_.reset();
    std::fflush(stdout);
    std::exit(code);
  }

 private:
  [[noreturn]] static void fail(const std::string& why) {
    std::fprintf(stderr, "test_trainer: %s\n", why.c_str());
    std::exit(99);
  }
  static void check(const absl::Status& status) {
    if (!status.ok()) fail(std::string(lctl::message_of(status)));
  }

  template <typename Fill>
  void append(Fill&& fill_event) {
    lctl::v1::Event event;
    event.set_time_us(lctl::unix_micros(lctl::system_clock().wall_now()));
    fill_event(event);
    check(spool_->append(event).status());
  }

  static void print_variables(const std::string& names) {
    std::istringstream words(names);
    for (std::string name; words >> name;)
      std::printf("%s=%s\n", name.c_str(), variable(name).c_str());
  }

  void step(long number) {
    append([&](auto& event) {
      event.mutable_metrics()->set_step(number);
      event.mutable_metrics()->add_keys("loss");
      event.mutable_metrics()->add_values(1.0 / static_cast<double>(number + 1));
    });
    std::printf("step %ld\n", number);
  }

  void metrics(const std::string& range) {
    long from = 0;
    long to = 0;
    if (std::sscanf(range.c_str(), "%ld %ld", &from, &to) != 2) fail("metrics FROM TO");
    for (long i = from; i < to; ++i) step(i);
  }

  void endless() {
    for (long i = 0; asked_to_stop == 0; ++i) {
      step(i);
      std::fflush(stdout);
      pause_ms(1);
    }
  }

  static void fill(std::size_t bytes) {
    std::string line(99, 'x');
    for (std::size_t done = 0; done < bytes; done += 100) std::puts(line.c_str());
  }

  void checkpoint(const std::string& words, lctl::v1::CheckpointKind kind) {
    std::istringstream in(words);
    std::string name;
    std::size_t bytes = 0;
    in >> name >> bytes;
    const std::filesystem::path staged = std::filesystem::path(variable("LCTL_STAGE")) / name;
    const std::string temporary = staged.string() + ".tmp";
    {
      std::ofstream out(temporary, std::ios::binary);
      for (std::size_t i = 0; i < bytes; ++i) out.put(static_cast<char>(i * 7 + i / 251));
      if (!out.flush()) fail("writing " + temporary);
    }
    std::filesystem::rename(temporary, staged);
    append([&](auto& event) {
      event.mutable_checkpoint()->set_file(name);
      event.mutable_checkpoint()->set_size(static_cast<std::int64_t>(bytes));
      event.mutable_checkpoint()->set_kind(kind);
      event.mutable_checkpoint()->set_name("checkpoints/" + name);
    });
  }

  static void batches(long count) {
    for (long i = 0; i < count; ++i) {
      lctl::pulse::batch_begins(lctl::pulse::Phase::kTraining);
      lctl::pulse::collective_begins(lctl::pulse::Collective::kAllReduce);
      lctl::pulse::batch_ends(i + 1);
    }
  }

  static void answer_with_stacks() {
    std::signal(lctl::pulse::dump_signal(), [](int) {
      static constexpr char kText[] = "the stacks\n";
      if (write(STDERR_FILENO, kText, sizeof kText - 1) > 0) lctl::pulse::stacks_written();
    });
    lctl::pulse::takes_dumps();
  }

  static void show_resume() {
    std::ifstream in(variable("LCTL_RESUME_CKPT"), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    std::printf("resume %zu %c\n", content.size(), content.empty() ? '-' : content[0]);
  }

  static void show_port() {
    const int fd = std::atoi(variable("LCTL_RENDEZVOUS_FD").c_str());
    sockaddr_in address = {};
    socklen_t size = sizeof(address);
    int listening = 0;
    socklen_t option = sizeof(listening);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &option) != 0) {
      fail("LCTL_RENDEZVOUS_FD is no socket");
    }
    std::printf("listening=%d port=%d\n", listening, ntohs(address.sin_port));
  }

  void damage() {
    check(spool_->flush());
    std::ofstream out(variable("LCTL_SPOOL"), std::ios::binary | std::ios::app);
    out << std::string("\x05\0\0\0wrongabcde", 14) << std::string(100, 'z');
  }

  void finish(int code) {
    while (asked_to_stop == 0) pause_ms(1);
    checkpoint("stop.ckpt 1000", lctl::v1::CHECKPOINT_KIND_STOP);
    append([](auto& event) {
      event.mutable_finished()->set_outcome(lctl::v1::Finished::OUTCOME_STOPPED);
    });
    leave(code);
  }

  std::unique_ptr<lctl::spool::SpoolWriter> spool_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 || std::string(argv[1]) != "fit" || std::string(argv[2]) != "--config") return 98;
  std::signal(SIGTERM, [](int) { asked_to_stop = 1; });
  std::ifstream config(argv[3]);
  Script script;
  for (std::string line; std::getline(config, line);) script.run(line);
  script.leave(0);
}
