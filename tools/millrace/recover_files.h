// The files of a recovered journal directory: made in a folder of their own inside it, then moved
// into place in an order that lets no start go by half of them.
#pragma once

#include "core/engine.h"
#include "persist/effects_log.h"
#include "persist/reservation.h"
#include "tools/millrace/id_book.h"

#include <string>

namespace millrace {

class RecoverFiles {
public:
    explicit RecoverFiles(const std::string& dir);

    /// An empty folder to make the files in; what an earlier try has left goes.
    /// @return IoError.
    [[nodiscard]] Status begin(std::string& message);
    /// The effects log in that folder, going on behind `before`: a store that has come to exactly
    /// there follows it.
    [[nodiscard]] Result<EffectsWriter> effects(const LogCursor& before, std::string& message);
    /// Writes the others beside it: snapshot of `engine` as of `at`, book of ids, the first journal
    /// file, and the reservation last.
    [[nodiscard]] Status write(Engine& engine, const LogCursor& at, const IdBook& ids,
                               const Reserved& reserved, std::string& message);
    /// Moves all into the directory; with the first of them there and without the last a start is
    /// refused.
    [[nodiscard]] Status move_into_place(std::string& message);

private:
    std::string dir_;
    std::string making_;
};

/// A journal's file in `dir`, empty if there is none. What a recovery that was killed has left does
/// not count.
[[nodiscard]] std::string journal_file_in(const std::string& dir);

}  // namespace millrace
