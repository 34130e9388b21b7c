#include "persist/skip_list.h"

#include <fstream>

namespace millrace {

Result<SkipList> SkipList::load(const std::string& journal_dir, std::string& message) {
    SkipList list;
    const std::string path = journal_dir + "/skip";
    std::ifstream in{path};
    std::uint64_t seq = 0;
    while (in >> seq) {
        list.seqs_.insert(seq);
    }
    if (in.is_open() && !in.eof()) {
        message =
            path + " holds something that is no sequence number; one number a line is allowed";
        return {Errc::BadInput, "skip list"};
    }
    return list;
}

void SkipList::apply(Engine& engine, const JournalRecord& record, OutputPort& out) const noexcept {
    // A Jump is never skipped: the numbers behind it mean nothing without it.
    if (seqs_.empty() || !contains(record.seq) || record.type == InputType::Jump) [[likely]] {
        engine.apply(record, out);
        return;
    }
    JournalRecord skip;
    skip.seq = record.seq;
    skip.time = record.time;
    skip.source_ring = record.source_ring;
    skip.source_cursor = record.source_cursor;
    skip.set_body(InputType::Skip, SkipInput{record.seq.value});
    engine.apply(skip, out);
}

}  // namespace millrace
