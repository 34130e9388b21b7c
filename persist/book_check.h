// Holds the books against what the brokers have: takes executors' lists out of the ring `holdings`,
// compares each with the engine's state as of the very event that it was made after, and tells what
// two lists in a row have shown to differ.
//
//     executor ─▶ broker stage ─▶ ring `holdings` ─▶ BookCheck ─▶ error log, file `differences`
//                      └──▶ reports ─▶ engine ─▶ journal ─▶ replica's engine ──┘
//
// It decides nothing and changes no book: what differs is a person's to mend. Lists that come while
// a symbol has something on its way say nothing of that symbol.
#pragma once

#include "persist/book_compare.h"
#include "shm/segment.h"

#include <map>
#include <string>
#include <vector>

namespace millrace {

/// What two lists of an account have shown, as the file has it.
struct ToldDifference {
    AccountId account{kNoId};
    bool foreign = false;
    Nanos since;       // the first list that showed it
    std::string text;  // for a person, without "ALERT"
};

/// The file in the journal directory that has what differs now; none = nothing was compared, or
/// nothing differs.
[[nodiscard]] std::string differences_path(const std::string& journal_dir);
/// What it says; empty if there is none, or it is none of ours. Threads: any.
[[nodiscard]] std::vector<ToldDifference> read_differences(const std::string& journal_dir);

/// Threads: the replica's. Allocates: it is on no hot path.
class BookCheck {
public:
    /// Differences that alerts name; one more alert is for all others.
    static constexpr std::uint32_t kNamedMax = 8;
    /// What one event at the broker moves is told by then.
    static constexpr Nanos kApart = seconds(5);
    /// What an account's last list showed is marked as old once it is older than this.
    static constexpr Nanos kOld = seconds(600);
    /// Rows of one account that are kept.
    static constexpr std::size_t kRowsMax = 2048;

    /// @param apart between the two lists, at least.
    BookCheck(const Segment& segment, std::string journal_dir, Nanos apart = kApart);

    /// Takes the lists that have come. Those of the present are compared, those of the past
    /// dropped, those of the future wait.
    void collect(const Engine& engine) noexcept;
    /// After each record that the engine has applied.
    void on_record(const Engine& engine) noexcept {
        if (!waiting_.empty()) {
            compare_due(engine);
        }
    }
    /// Marks in the file what lists that have stopped showed last. @param now of the clock that
    /// stamps the lists. Cheap: may be called each round.
    void mark_old(Nanos now) noexcept;
    /// That two lists have shown and none has taken back; foreign ones do not count.
    [[nodiscard]] std::uint64_t standing() const noexcept;

private:
    struct List {
        std::vector<Holding> rows;
        Holding end;
    };
    struct Seen {
        Difference difference;
        Nanos since;
        bool told = false;
    };
    void take(const Holding& h, const Engine& engine);
    void compare_due(const Engine& engine) noexcept;
    void judge(const List& list, const Engine& engine);
    [[nodiscard]] bool is_over(std::vector<Seen>& seen, const Comparison& now);
    void tell(const Difference& d);
    void write();

    const Segment* segment_;
    std::string journal_dir_;
    Nanos apart_;
    bool attached_ = false;
    RingConsumer<Holding> ring_;
    std::map<std::uint32_t, List> building_;  // by account
    std::map<std::uint32_t, List> waiting_;   // whole
    std::map<std::uint32_t, std::vector<Seen>> seen_;
    struct Listed {
        Nanos at;  // the last list that was compared
        bool old = false;
    };
    std::map<std::uint32_t, Listed> listed_;
    Nanos marked_;  // mark_old() looked
    std::uint32_t named_ = 0;
    std::uint32_t foreign_named_ = 0;
};

}  // namespace millrace
