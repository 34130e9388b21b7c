#include "tools/explain/halt.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "persist/journal_reader.h"
#include "tools/explain/logs.h"
#include "tools/millrace/apart.h"

namespace millrace::explain {
namespace {

/// In the child. @param at is told each record before it is applied.
void apply_all(const Where& where, std::span<unsigned char> at,
               const std::function<bool(LogState&, const JournalRecord&)>& apply) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDERR_FILENO);  // an assertion's last words are none of the reader's business
    std::unique_ptr<LogState> state;
    bool asked = false;
    (void)scan_journal(where.dir, nullptr, [&](const JournalRecord& r) {
        std::string why;  // whoever wants this state is told so by itself
        if (!asked) {
            asked = true;
            state = LogState::begin(where.dir, kWholeLog, r.seq, where.capacity, why);
        }
        if (state == nullptr) {
            return false;
        }
        if (r.seq > state->engine().seq()) {
            std::memcpy(at.data(), &r.seq.value, sizeof r.seq.value);
        }
        return apply ? apply(*state, r) : state->apply(r);
    });
}

}  // namespace

Sequence last_survived(const Where& where, std::string& notice,
                       const std::function<bool(LogState&, const JournalRecord&)>& apply) {
    const SharedBytes at{sizeof(std::uint64_t)};
    std::string how;
    if (at.bytes().empty() || run_apart([&] { apply_all(where, at.bytes(), apply); }, how)) {
        return kWholeLog;
    }
    std::uint64_t seq = 0;
    std::memcpy(&seq, at.bytes().data(), sizeof seq);
    if (seq == 0) {
        return kWholeLog;  // nothing was applied: no record is to blame
    }
    notice = "the engine halts at record " + std::to_string(seq) + " (" + how +
             "): what follows is as of record " + std::to_string(seq - 1);
    return Sequence{seq - 1};
}

}  // namespace millrace::explain
