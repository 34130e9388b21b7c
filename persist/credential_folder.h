// The folder of credential backups, held while somebody writes into it. Internal to those.
//
// One at a time: what lies there unfinished, a sealed copy of the whole store in a scratch folder
// or half a backup, is then of a run that was killed, and goes.
#pragma once

#include "core/result.h"

#include <string>
#include <string_view>

namespace millrace {

inline constexpr std::string_view kUnfinishedBackup = ".new";  // how its name ends until it counts

class HeldBackupFolder {
public:
    HeldBackupFolder() = default;
    ~HeldBackupFolder();
    HeldBackupFolder(const HeldBackupFolder&) = delete;
    HeldBackupFolder& operator=(const HeldBackupFolder&) = delete;

    /// Makes `dir`, mode 0700, if it is not there, waits for its lock (`.lock`, which the kernel
    /// gives back when its holder dies), and removes what runs that were killed left in it.
    /// @return Busy: another held it for `wait_s`; IoError.
    [[nodiscard]] Status take(const std::string& dir, int wait_s);
    /// Why take() failed.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    int fd_ = -1;
    std::string message_;
};

}  // namespace millrace
