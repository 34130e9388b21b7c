// What a terminal's first word says of its intent journal: whether it is the one that served the
// account last, whether it has lost records, and from which event number it may count on.
#include "gateway/session.h"

#include <algorithm>

namespace millrace {

/// Another directory: order ids begin anew there, and the terminal's journal would answer new
/// orders with what it knows of old ones. Another key: it may be anybody. Another margin mode: one
/// position where we count two, or the other way. Only a person can know which of the two sides is
/// out of place.
void Session::reject_login(Rejection why) noexcept {
    // With SessionDown still to be reported the cell must stay: a stage that is killed now leaves
    // its successor nothing else to know it by. The terminal comes again.
    if (peer_ != nullptr || down_due_) {
        return;
    }
    const unsigned told = link_ == LinkState::AuthRejected ? rejections_told_ : 0;
    const unsigned reason = 1U << static_cast<unsigned>(why);
    if ((told & reason) != 0) {
        return;  // two terminals of one account may be refused by turns
    }
    set_link(LinkState::AuthRejected);
    rejections_told_ = told | reason;
    // Without its login: the error log's entries are few, and where a directory is lost every
    // terminal is refused. Their cells say which (`millrace account list`).
    context_->segment.report_error("broker", why == Rejection::WrongKey ? kWrongKeyAlert
                                             : why == Rejection::OtherDirectory
                                                 ? kOtherDirectoryAlert
                                                 : kOtherMarginModeAlert);
}

/// The event number to resume after. The terminal forgets its events up to it, so it must never
/// be above what this very journal had acknowledged; but a journal that replaces a lost one has to
/// learn that it does (its silence about a magic proves nothing): a number above its own tells it,
/// and makes it number its events anew above that.
std::uint64_t Session::event_floor(const bridge::Hello& hello, bool rolled_back) const noexcept {
    // Acquire: pairs with the engine's release.
    const std::uint64_t applied = entry().applied_event.load(std::memory_order_acquire);
    if (is_another(hello)) {
        // Whatever this one vouches for, it knows nothing of what the last one took.
        return std::max(applied, hello.event_seq + 1);
    }
    if (journal_id_ == hello.journal_id) {
        return rolled_back
                   ? std::max({acked_event_, told_events(hello.journal_id), hello.event_seq + 1})
                   : acked_event_;
    }
    if (rolled_back) {
        return std::max(applied, hello.event_seq + 1);
    }
    // Relaxed: own cell. Not 0: some executor has had a command in this segment.
    const bool had_commands = entry().claimed.load(std::memory_order_relaxed) != 0;
    const bool never_welcomed = hello.generation == 0;
    if (never_welcomed && (had_commands || applied > 0)) {
        return std::max(applied, hello.event_seq + 1);
    }
    // Either an older copy of the journal, or one that a stage before us served: its own numbers
    // tell. In doubt all of its unacknowledged events come again; the engine drops repeats.
    return hello.event_seq < applied ? applied : 0;
}

/// The intent journal that served this account last, as far as known; 0 = not known.
std::uint64_t Session::last_journal() const noexcept {
    // Relaxed: at worst the one before, which makes this one look new: the careful side.
    return journal_id_ != 0 ? journal_id_ : entry().applied_journal.load(std::memory_order_relaxed);
}

bool Session::is_another(const bridge::Hello& hello) const noexcept {
    const std::uint64_t last = last_journal();
    return last != 0 && last != hello.journal_id;
}

/// The newest event that this journal is known to have told; 0 = none.
std::uint64_t Session::told_events(std::uint64_t journal_id) const noexcept {
    // Acquire: pairs with the engine's release; the journal that it counts in is stored before it.
    const std::uint64_t applied = entry().applied_event.load(std::memory_order_acquire);
    const bool its_own = entry().applied_journal.load(std::memory_order_relaxed) == journal_id;
    return std::max(its_own ? applied : 0, journal_id_ == journal_id ? last_event_ : 0);
}

/// Has this very journal named or told more than it knows now, or been welcomed later than it
/// remembers? After a power cut, or when a folder was put back from a copy. The numbers of what it
/// told and lost must not come again: the engine would take the new events for repeats.
bool Session::is_rolled_back(const bridge::Hello& hello) const noexcept {
    // Relaxed: own cell.
    const std::uint64_t named = entry().named.load(std::memory_order_relaxed);
    if (is_another(hello)) {
        return false;
    }
    if (hello.event_seq < told_events(hello.journal_id)) {
        return true;
    }
    if (hello.command_epoch == context_->segment.uuid_low()) {
        return named > hello.command_seq;
    }
    // It may have served another host meanwhile, which raised its generation.
    return named > 0 && hello.generation < generation_;
}

/// Does its silence about a command prove that it never had it? Not if it says itself that it may
/// have lost records, nor if another journal served the account last.
bool Session::is_sound(const bridge::Hello& hello) const noexcept {
    return (hello.permissions & bridge::kHelloJournalSuspect) == 0 && !is_another(hello);
}

/// The present journal has every command up to `n`; 0 = it begins.
void Session::name_commands(std::uint64_t n) noexcept {
    // Release: a successor that reads it after a SIGKILL finds what it stands for.
    entry().named.store(n, std::memory_order_release);
}

}  // namespace millrace
