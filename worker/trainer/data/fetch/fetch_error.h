// Why an input file could not be had.
#pragma once

#include <stdexcept>
#include <string>

namespace lctl {

enum class FetchErrorKind {
  kMalformedUrl,  // not a URL that can be fetched
  kNotFound,      // no such file, there or here (404, 410)
  kForbidden,     // credentials are missing or wrong (401, 403, 407)
  kHttpStatus,    // any other status that is not a success
  kRedirect,      // redirected too often, or from https to http
  kCertificate,   // the server's certificate is not trusted
  kChecksum,      // the content is not the one that was asked for
  kUnreachable,   // no connection, or it broke too often
  kDiskFull,      // the cache's disk
  kCache,         // the cache's folder, or a local file, cannot be used
  kUnavailable,   // libcurl is not installed
  kCancelled,     // the caller's `stopped` said so
};

// The text is one line: the URL (passwords and signatures in it hidden), the reason, what to do.
class FetchError : public std::runtime_error {
 public:
  FetchError(FetchErrorKind kind, bool permanent, const std::string& text)
      : std::runtime_error(text), kind_(kind), permanent_(permanent) {}

  FetchErrorKind kind() const { return kind_; }

  // Trying again cannot help: somebody must change the job, the server or this machine's settings.
  bool permanent() const { return permanent_; }

 private:
  FetchErrorKind kind_;
  bool permanent_;
};

}  // namespace lctl
