// "Do this once per node": unpacking an archive, converting a data set.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace lctl {

struct OncePerNodeOptions {
  std::function<bool()> stopped;                // asked while waiting; empty = never
  std::function<void(const std::string&)> say;  // for whom this process waits; empty = on stderr
  std::string what;  // it does: "unpacks https://…"; "" = "prepares <folder>"
};

// Calls `work`, which fills `folder` (made if missing, with its parents), unless that has been done
// for the same `version`: a text that says what the content comes from, such as the archive's
// checksum and the name of the layout; at most 64 KiB.
//
// Of several processes one works and the others wait, and then return at once. The marker,
// `folder`/.lctl-ready, is written when the work has returned and all of it is on the disk; so a
// process that is killed, a work that throws, or a machine that loses power leaves none, and the
// next caller works again. `work` must therefore cope with what an unfinished try left behind. It
// also runs again for another version, whose marker is removed before.
//
// Returns whether this call did the work. Throws what `work` throws, std::system_error for the
// folder, FetchError (kCancelled) when stopped. Any thread.
bool once_per_node(const std::filesystem::path& folder, const std::string& version,
                   const std::function<void()>& work, const OncePerNodeOptions& options = {});

}  // namespace lctl
