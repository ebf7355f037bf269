#include "worker/trainer/data/fetch/source_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "jobspec/input_source.h"
#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

constexpr std::size_t kMaxShown = 300;
constexpr std::size_t kMaxName = 200;  // file systems allow 255; temporary names need some

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

[[noreturn]] void malformed(std::string_view url, std::string_view why) {
  throw FetchError(FetchErrorKind::kMalformedUrl, true, fmt::format("{}: {}", shown_url(url), why));
}

// "a%20b" as "a b"; nothing when an escape is not one.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

// A name that is safe in the cache's folder, whatever the server's paths look like. Names that
// begin with a dot are the cache's own.
std::string file_name(std::string_view url_path) {
  const std::string_view last = url_path.substr(std::min(url_path.rfind('/') + 1, url_path.size()));
  std::string name = percent_decoded(last).value_or(std::string(last));
  for (char& c : name) {
    if (c == '/' || c == '\\' || is_control(c)) c = '_';
  }
  // The end tells the kind of a file.
  if (name.size() > kMaxName) name.erase(0, name.size() - kMaxName);
  if (!name.empty() && name[0] == '.') name[0] = '_';
  return name.empty() ? "data" : name;
}

std::string checksum_of(std::string_view url, std::string_view fragment) {
  constexpr std::string_view kKey = "sha256=";
  if (fragment.substr(0, kKey.size()) != kKey)
    malformed(url, "what is behind '#' must be sha256=<64 hexadecimal digits>");
  const std::string digits = lower(fragment.substr(kKey.size()));
  const bool all_hex =
      std::all_of(digits.begin(), digits.end(), [](char c) { return hex_value(c) >= 0; });
  if (digits.size() != 64 || !all_hex)
    malformed(url,
              "the checksum behind #sha256= must have 64 hexadecimal digits (`sha256sum FILE` "
              "prints it)");
  return digits;
}

void read_file_url(std::string_view url, std::string_view rest, SourceUrl& result) {
  const std::size_t slash = rest.find('/');
  const std::string host = lower(rest.substr(0, slash));
  if (slash == std::string_view::npos || (!host.empty() && host != "localhost"))
    malformed(url, "a file URL is file:///absolute/path, a file of this node");
  const std::optional<std::string> path = percent_decoded(rest.substr(slash));
  if (!path) malformed(url, "'%' must be followed by two hexadecimal digits; write '%' as %25");
  if (path->find('\0') != std::string::npos) malformed(url, "a path cannot have %00");
  result.path = *path;
}

void read_http_url(std::string_view url, std::string_view scheme, std::string_view rest,
                   SourceUrl& result) {
  const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  const std::size_t at = authority.rfind('@');
  const std::string_view host_and_port =
      authority.substr(at == std::string_view::npos ? 0 : at + 1);
  if (host_and_port.empty() || host_and_port[0] == ':') malformed(url, "it names no host");
  const std::string_view path_and_query = rest.substr(authority_end);
  result.key = fmt::format("{}://{}{}", scheme, lower(host_and_port), path_and_query);
  result.name = file_name(path_and_query.substr(0, path_and_query.find('?')));
}

bool looks_secret(std::string_view parameter) {
  constexpr std::array<std::string_view, 7> kWords = {"token",      "sig", "secret", "passw",
                                                      "credential", "key", "auth"};
  const std::string name = lower(parameter);
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

std::string shown_query(std::string_view query) {
  std::string result;
  while (true) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    const std::size_t equals = parameter.find('=');
    if (equals != std::string_view::npos && looks_secret(parameter.substr(0, equals))) {
      result.append(parameter.substr(0, equals + 1)).append("***");
    } else {
      result.append(parameter);
    }
    if (end == query.size()) return result;
    result += '&';
    query.remove_prefix(end + 1);
  }
}

}  // namespace

SourceUrl parse_source(std::string_view text) {
  SourceUrl result;
  if (!jobspec::is_url(text)) {
    if (text.empty() || text.find('\0') != std::string_view::npos)
      throw FetchError(FetchErrorKind::kMalformedUrl, true,
                       fmt::format("'{}' is no path of a file", shown_url(text)));
    result.path = text;
    result.shown = text;
    return result;
  }
  result.shown = shown_url(text);
  if (text.size() > kMaxUrlSize)
    malformed(text, fmt::format("a URL has at most {} bytes", kMaxUrlSize));
  if (std::any_of(text.begin(), text.end(), [](char c) { return c == ' ' || is_control(c); }))
    malformed(text, "a URL has no spaces and control characters; write a space as %20");

  const std::size_t scheme_end = text.find("://");
  const std::string scheme = lower(text.substr(0, scheme_end));
  const std::size_t hash = std::min(text.find('#'), text.size());
  const std::string_view address = text.substr(0, hash);
  if (scheme_end >= hash) malformed(text, "it names no host");
  if (hash < text.size()) result.sha256 = checksum_of(text, text.substr(hash + 1));
  const std::string_view rest = address.substr(scheme_end + 3);
  if (scheme == "file") {
    result.scheme = SourceUrl::Scheme::kFile;
    read_file_url(text, rest, result);
  } else if (scheme == "http" || scheme == "https") {
    result.scheme = scheme == "http" ? SourceUrl::Scheme::kHttp : SourceUrl::Scheme::kHttps;
    result.address = address;
    read_http_url(text, scheme, rest, result);
  } else {
    malformed(text, fmt::format("`{}:` is not among what can be fetched: http, https, file; or "
                                "mount the storage and give a path",
                                scheme));
  }
  return result;
}

std::string shown_url(std::string_view url) {
  url = url.substr(0, std::min({url.find('#'), url.size(), kMaxUrlSize}));
  std::string result;
  if (const std::size_t scheme_end = url.find("://"); scheme_end != std::string_view::npos) {
    result.append(url.substr(0, scheme_end + 3));
    url.remove_prefix(scheme_end + 3);
    const std::size_t authority_end = std::min(url.find_first_of("/?"), url.size());
    if (const std::size_t at = url.substr(0, authority_end).rfind('@');
        at != std::string_view::npos) {
      // A user's name alone can be a token.
      result.append("***@");
      url.remove_prefix(at + 1);
    }
  }
  const std::size_t question = std::min(url.find('?'), url.size());
  result.append(url.substr(0, question));
  if (question < url.size()) {
    result.append("?").append(shown_query(url.substr(question + 1)));
  }
  for (char& c : result) {
    if (is_control(c)) c = '?';
  }
  if (result.size() > kMaxShown) {
    result.resize(kMaxShown);
    result.append("...");
  }
  return result;
}

}  // namespace lctl
