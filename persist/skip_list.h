// SkipList: records that an operator took out of the log, because the engine dies of them.
//
//     <journal dir>/skip    one sequence number a line, written by `millrace recover --skip`
//
// The journal itself is never changed: whoever applies it (engine, replica, replay) puts a Skip
// in the record's place. All must, or their states part: a list that cannot be read stops the
// start.
#pragma once

#include "core/engine.h"

#include <set>
#include <string>

namespace millrace {

class SkipList {
public:
    /// @return an empty list if there is no file; BadInput if it holds anything but numbers.
    static Result<SkipList> load(const std::string& journal_dir, std::string& message);

    /// Applies `record`, or in its place a Skip of the same number and time.
    void apply(Engine& engine, const JournalRecord& record, OutputPort& out) const noexcept;

    [[nodiscard]] bool contains(Sequence seq) const noexcept { return seqs_.contains(seq.value); }

private:
    std::set<std::uint64_t> seqs_;
};

}  // namespace millrace
