#include "worker/trainer/strategies/store_agreement.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <string>
#include <thread>

namespace lctl {
namespace {

constexpr char kEnd = 'e';
constexpr std::chrono::hours kForever{24 * 365};

std::string key(const char* name, std::int64_t round) {
  return std::string("lctl/") + name + "/" + std::to_string(round);
}

std::vector<std::uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }

// Thread rule: one strand only, but for the members that say atomic.
class StoreAgreement final : public BoundaryAgreement {
 public:
  StoreAgreement(const c10::intrusive_ptr<c10d::Store>& store, int rank, int world_size)
      : store_(store),
        rank_(rank),
        world_size_(world_size),
        watcher_([this, waiting = store->clone()] { watch(*waiting); }) {}

  ~StoreAgreement() override {
    ending_ = true;
    try {
      // Wakes this rank's watcher (and those of ranks that end with it). When a request of this
      // round came too late to be acted on, the watcher waits for the next round's already.
      for (const std::int64_t round : {round_, round_ + 1}) {
        store_->set(key("request", round), bytes(std::string(1, kEnd)));
      }
    } catch (const std::exception&) {
      // The store has gone with rank 0, and the watcher with it.
    }
    watcher_.join();
  }

  void request(BoundaryAction action) override {
    if (requested_round_ == round_) return;
    requested_round_ = round_;
    if (armed_.load() == round_)
      return;  // another rank was first; ask again in the next round if need be
    const char kind = action == BoundaryAction::kStop ? 's' : 'c';
    // One asker per round; compareSet would not wake the waiting ranks.
    if (store_->add(key("claim", round_), 1) == 1)
      store_->set(key("request", round_), bytes(std::string(1, kind)));
  }

  std::optional<BoundaryAction> poll(std::int64_t boundary) override {
    if (armed_.load() != round_) return std::nullopt;
    if (act_at_ < 0 && rank_ == 0) {
      if (store_->add(key("acknowledged", round_), 0) < world_size_) return std::nullopt;
      act_at_ = boundary + 1;
      store_->set(key("at", round_), bytes(std::to_string(act_at_)));
      // set() does not wait for the server: this question on the same connection does.
      store_->check({key("at", round_)});
      return std::nullopt;
    }
    if (act_at_ < 0) {
      if (!store_->check({key("at", round_)})) return std::nullopt;
      const std::vector<std::uint8_t> answer = store_->get(key("at", round_));
      act_at_ = std::stoll(std::string(answer.begin(), answer.end()));
    }
    if (boundary < act_at_) return std::nullopt;
    const BoundaryAction action = action_.load();
    act_at_ = -1;
    ++round_;
    return action;
  }

 private:
  void watch(c10d::Store& store) {
    try {
      for (std::int64_t round = 0; !ending_; ++round) {
        store.wait({key("request", round)}, kForever);
        const std::vector<std::uint8_t> request = store.get(key("request", round));
        if (ending_ || request.empty() || request[0] == kEnd) return;
        action_ = request[0] == 's' ? BoundaryAction::kStop : BoundaryAction::kCheckpoint;
        armed_ = round;
        store.add(key("acknowledged", round), 1);
      }
    } catch (const std::exception&) {
      // The store is gone: rank 0 has ended, and this rank is about to notice in its next
      // collective.
    }
  }

  const c10::intrusive_ptr<c10d::Store> store_;
  const int rank_;
  const int world_size_;
  std::int64_t round_ = 0;
  std::int64_t requested_round_ = -1;
  std::int64_t act_at_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<std::int64_t> armed_{-1};
  std::atomic<BoundaryAction> action_{BoundaryAction::kCheckpoint};
  std::thread watcher_;  // last: uses all of the above
};

}  // namespace

std::unique_ptr<BoundaryAgreement> make_store_agreement(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int world_size) {
  return std::make_unique<StoreAgreement>(store, rank, world_size);
}

}  // namespace lctl
