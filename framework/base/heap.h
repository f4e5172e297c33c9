// How the C library's heap deals with memory that is given back.
#pragma once

namespace throng {

/// Keeps freed memory for the next allocation rather than giving it back to the kernel: blocks of rows come and go by the megabyte, and to have
/// their pages made and cleared anew costs as much as to copy them. Up to 128 MiB stay with each arena. For the start of a program; nothing
/// where the C library is not glibc.
void keep_freed_memory();

}  // namespace throng
