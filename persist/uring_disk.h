// UringDisk: journal writes through io_uring. Each is a durable write of its own (O_DSYNC), never
// linked to another: a short write would cancel what is linked to it.
#pragma once

#include "persist/disk.h"

#include <memory>
#include <string>

namespace millrace {

/// @param direct use O_DIRECT.
/// @return Unsupported (kernel or container refuses io_uring; sys_errno says how), IoError.
[[nodiscard]] Result<std::unique_ptr<Disk>> open_uring_disk(const std::string& directory,
                                                            bool direct) noexcept;

}  // namespace millrace
