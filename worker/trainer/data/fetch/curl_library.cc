#include "worker/trainer/data/fetch/curl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

constexpr char kLibrary[] = "libcurl.so.4";

[[noreturn]] void unavailable(const std::string& why) {
  throw FetchError(FetchErrorKind::kUnavailable, true,
                   fmt::format("{} cannot be used, which fetches http(s):// files ({}); install "
                               "Debian's libcurl4 on this node",
                               kLibrary, why));
}

template <typename Function>
void load(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) unavailable(fmt::format("it lacks {}", name));
}

CurlLibrary open_library() {
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    unavailable(why == nullptr ? "it is not there" : why);
  }
  CurlLibrary curl;
  load(library, "curl_global_init", curl.global_init);
  load(library, "curl_easy_init", curl.easy_init);
  load(library, "curl_easy_setopt", curl.easy_setopt);
  load(library, "curl_easy_getinfo", curl.easy_getinfo);
  load(library, "curl_easy_strerror", curl.easy_strerror);
  load(library, "curl_easy_cleanup", curl.easy_cleanup);
  load(library, "curl_slist_append", curl.slist_append);
  load(library, "curl_slist_free_all", curl.slist_free_all);
  load(library, "curl_multi_init", curl.multi_init);
  load(library, "curl_multi_add_handle", curl.multi_add_handle);
  load(library, "curl_multi_perform", curl.multi_perform);
  load(library, "curl_multi_poll", curl.multi_poll);
  load(library, "curl_multi_info_read", curl.multi_info_read);
  load(library, "curl_multi_remove_handle", curl.multi_remove_handle);
  load(library, "curl_multi_cleanup", curl.multi_cleanup);
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) unavailable("it does not start");
  return curl;
}

}  // namespace

const CurlLibrary& curl_library() {
  static const CurlLibrary curl = open_library();
  return curl;
}

}  // namespace lctl
