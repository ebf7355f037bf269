// How a trainer's process treats memory that it has freed.
#pragma once

namespace lctl {

// Activations are freed and wanted again in every step: without this glibc hands them back to the
// kernel and faults them in anew, which costs a convolutional network a third of its time. Call it
// first thing in main().
void keep_freed_memory();

}  // namespace lctl
