// The segment at a path, whichever file that is at the moment.
#pragma once

#include "shm/segment.h"

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace millrace::inspect {

class Watched {
public:
    explicit Watched(std::string path) : path_{std::move(path)} {}

    /// Attaches anew if another file lies there now. False with `message` if none can be read; the
    /// last good one then stays, for its last words.
    bool refresh();
    /// Whether another file than segment() lies at the path now, or none.
    [[nodiscard]] bool replaced() const;
    [[nodiscard]] const std::optional<Segment>& segment() const noexcept { return segment_; }

    std::string message;
    std::vector<std::string> names;  // of accounts, by id

private:
    std::string path_;
    std::optional<Segment> segment_;
    ino_t inode_ = 0;
    dev_t device_ = 0;
};

}  // namespace millrace::inspect
