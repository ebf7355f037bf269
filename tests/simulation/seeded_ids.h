// random_id() draws from the kernel, and the order of ids decides in which order the server looks
// at jobs. Who links this gets numbers that a test has seeded: getrandom(2) of the whole process.
#pragma once

#include <cstdint>

namespace lctl::simulation {

// From now on the kernel's random source gives the same bytes for the same seed. While no other
// thread draws.
void seed_ids(std::uint64_t seed);

}  // namespace lctl::simulation
