#include "worker/trainer/data/modules/input_files.h"

#include <stdexcept>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/fetch/fetcher.h"

namespace lctl {

void fetch_inputs(const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) local_file(input);
}

std::string local_file(const std::string& input) {
  try {
    return fetch(input).string();
  } catch (const FetchError& error) {
    if (error.permanent()) throw MisconfigurationException(error.what());
    throw std::runtime_error(error.what());
  }
}

}  // namespace lctl
