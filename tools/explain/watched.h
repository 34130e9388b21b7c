// Watched: what is open now, for a command that looks again and again, through the life of more
// than one pipeline.
#pragma once

#include "tools/explain/open_now.h"
#include "tools/explain/where.h"

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace millrace::explain {

/// Threads: one.
class Watched {
public:
    explicit Watched(WhereOptions options) : options_{std::move(options)} {}

    /// Finds the logs and the state at their end. Once, before the others.
    /// @return false: `message` says why there are no logs.
    [[nodiscard]] bool find(std::string& message);
    /// Takes in what was journalled since. Where the pipeline was stopped and begun anew all is
    /// found anew; until it is there again the picture stands as it was.
    /// @return false: `message` has what is damaged.
    [[nodiscard]] bool advance(std::string& message);

    [[nodiscard]] const Where& where() const noexcept { return *where_; }
    /// nullptr: the logs give no state; notice() says why.
    [[nodiscard]] const OpenNow* now() const noexcept { return now_.get(); }
    /// What a person should know of this picture; empty = nothing. Forgotten by the asking.
    [[nodiscard]] std::string take_notice() { return std::exchange(notice_, {}); }

private:
    using File = std::pair<dev_t, ino_t>;
    /// Of the segment's path: none if there is no file.
    [[nodiscard]] static std::optional<File> file_of(const Segment& segment);
    [[nodiscard]] bool is_another() const;

    WhereOptions options_;
    std::unique_ptr<Where> where_;
    std::unique_ptr<OpenNow> now_;
    std::optional<File> file_;  // the segment's, when it was found
    std::string notice_;
};

}  // namespace millrace::explain
