// Renews the second half of docs/job_file.md: bazel run //jobspec:write_reference
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "jobspec/reference.h"

int main() {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  const std::string path =
      std::string(workspace == nullptr ? "." : workspace) + "/docs/job_file.md";
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::size_t mark = text.find(lctl::jobspec::kReferenceMark);
  if (mark == std::string::npos) {
    std::cerr << path << " is not there, or lacks the line " << lctl::jobspec::kReferenceMark;
    return 1;
  }
  in.close();
  std::ofstream out(path);
  out << text.substr(0, mark) << lctl::jobspec::kReferenceMark << lctl::jobspec::reference();
  out.flush();
  return out ? 0 : 1;
}
