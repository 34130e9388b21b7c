// PwriteDisk: the fall-back where io_uring is refused: pwritev2(RWF_DSYNC), one write after the
// other, each inside submit_write(). The stage blocks for the length of a write.
#pragma once

#include "persist/disk.h"

#include <memory>
#include <string>

namespace millrace {

/// @param direct use O_DIRECT.
[[nodiscard]] Result<std::unique_ptr<Disk>> open_pwrite_disk(const std::string& directory,
                                                             bool direct) noexcept;

/// The best disk that works for files in `directory`, found by trying: UringDirect, PwriteDirect
/// (no io_uring), UringBuffered (no O_DIRECT), PwriteBuffered.
/// @param force this one or Unsupported; None = the best.
/// @return Unsupported, IoError, NoSpace; `message` says what was refused.
[[nodiscard]] Result<std::unique_ptr<Disk>> open_disk(const std::string& directory,
                                                      JournalBackend force, std::string& message);

/// `uring-direct`, ... for logs.
[[nodiscard]] const char* to_string(JournalBackend backend) noexcept;

}  // namespace millrace
