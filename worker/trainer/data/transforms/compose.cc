#include <stdexcept>

#include "worker/trainer/data/transforms/containers.h"
#include "worker/trainer/data/transforms/float_pass.h"
#include "worker/trainer/data/transforms/orientation.h"
#include "worker/trainer/data/transforms/values.h"

namespace lctl::transforms {
namespace {

class Compose final : public Transform {
 public:
  explicit Compose(std::vector<TransformPtr> steps) : steps_(std::move(steps)) {}
  at::Tensor apply(const at::Tensor& image, RandomStream& random) const override {
    at::Tensor out = image;
    for (const TransformPtr& step : steps_) out = step->apply(out, random);
    return out;
  }

 private:
  std::vector<TransformPtr> steps_;
};

template <typename T>
bool is(const std::vector<TransformPtr>& all, std::size_t index) {
  return index < all.size() && dynamic_cast<const T*>(all[index].get()) != nullptr;
}

// How many steps from `first` on a FloatPass can do; 0 for none.
std::size_t float_pass_length(const std::vector<TransformPtr>& all, std::size_t first) {
  std::size_t next = first;
  if (is<RandomHorizontalFlip>(all, next)) ++next;
  if (!is<ToDtype>(all, next) && !is<ToTensor>(all, next)) return 0;
  ++next;
  if (is<Normalize>(all, next)) ++next;
  return next - first;
}

}  // namespace

at::Tensor RandomApply::apply(const at::Tensor& image, RandomStream& random) const {
  return random.chance(p_) ? all_->apply(image, random) : image;
}

TransformPtr compose(std::vector<TransformPtr> transforms) {
  if (transforms.empty()) throw std::invalid_argument("pass at least one transform");
  std::erase_if(transforms, [](const TransformPtr& step) { return step->is_identity(); });
  if (transforms.empty()) return std::make_shared<Identity>();
  std::vector<TransformPtr> steps;
  for (std::size_t i = 0; i < transforms.size();) {
    const std::size_t length = float_pass_length(transforms, i);
    if (length == 0) {
      steps.push_back(transforms[i++]);
      continue;
    }
    const auto from = transforms.begin() + static_cast<std::ptrdiff_t>(i);
    steps.push_back(std::make_shared<FloatPass>(
        std::vector<TransformPtr>(from, from + static_cast<std::ptrdiff_t>(length))));
    i += length;
  }
  if (steps.size() == 1) return steps.front();
  return std::make_shared<Compose>(std::move(steps));
}

}  // namespace lctl::transforms
