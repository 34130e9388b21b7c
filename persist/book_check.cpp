#include "persist/book_check.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace {
namespace {

constexpr const char* kHead = "millrace differences 1";
constexpr const char* kFurther =
    "ALERT further differences between what brokers have and our books: `millrace positions` has "
    "all of them";
constexpr const char* kFurtherForeign =
    "further positions or orders that are not ours: `millrace positions` has all of them";
constexpr const char* kOver =
    "what differed between a broker and our books is over: `millrace positions` has what is left";

bool is_foreign(const Difference& d) noexcept {
    return d.kind == DifferenceKind::Foreign;
}

}  // namespace

std::string differences_path(const std::string& journal_dir) {
    return journal_dir + "/differences";
}

std::vector<ToldDifference> read_differences(const std::string& journal_dir) {
    std::ifstream file{differences_path(journal_dir)};
    std::vector<ToldDifference> out;
    std::string line;
    if (!std::getline(file, line) || line != kHead) {
        return out;
    }
    while (std::getline(file, line)) {
        std::istringstream fields{line};
        ToldDifference d;
        if (fields >> d.account.value >> d.foreign >> d.since.value && fields.get() == ' ' &&
            std::getline(fields, d.text)) {
            out.push_back(std::move(d));
        }
    }
    return out;
}

BookCheck::BookCheck(const Segment& segment, std::string journal_dir, Nanos apart)
    : segment_{&segment}, journal_dir_{std::move(journal_dir)}, apart_{apart} {
    auto ring =
        RingConsumer<Holding>::attach(segment.ring<Holding>(std::string_view{kHoldingsRing}));
    if (!ring) {
        segment.report_error("replica", std::string{"ring holdings: "} + ring.error().what +
                                            ": brokers' positions are not compared");
        return;
    }
    ring_ = ring.value();
    attached_ = true;
    // What a replica before us found has to be found again.
    std::error_code none_there;
    std::filesystem::remove(differences_path(journal_dir_), none_there);
    // Relaxed: one writer; for people.
    segment.core().book_differences.store(0, std::memory_order_relaxed);
}

void BookCheck::collect(const Engine& engine) noexcept {
    if (!attached_) {
        return;
    }
    for (const Holding* h = ring_.peek(); h != nullptr; h = ring_.peek()) {
        take(*h, engine);
        ring_.advance();
        ring_.release();
    }
    on_record(engine);
}

/// Rows of one account follow each other from 0 on; the broker stage says by an End that none of
/// them is missing, or says nothing.
void BookCheck::take(const Holding& h, const Engine& engine) {
    if (h.account.value >= engine.account_count()) {
        return;
    }
    List& list = building_[h.account.value];
    if (h.kind != HoldingKind::End) {
        if (h.index == 0) {
            list.rows.clear();
        }
        if (h.index == list.rows.size() && list.rows.size() < kRowsMax) {
            list.rows.push_back(h);
        }
        return;
    }
    if (list.rows.size() == h.index) {
        list.end = h;
        waiting_[h.account.value] = std::move(list);
    }
    building_.erase(h.account.value);
}

void BookCheck::compare_due(const Engine& engine) noexcept {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        const Holding& end = it->second.end;
        const Account& account = engine.account(AccountId{it->first});
        const bool same_journal = account.journal_id == end.journal_id;
        if (account.defined && (!same_journal || account.last_event < end.event_seq)) {
            ++it;  // what was told before it is on its way to us
            continue;
        }
        // A later event may have moved the books: such a list is of the past.
        if (account.defined && account.last_event == end.event_seq) {
            judge(it->second, engine);
        }
        it = waiting_.erase(it);
    }
}

void BookCheck::judge(const List& list, const Engine& engine) {
    const Comparison now = compare(engine, list.end.account, list.rows);
    std::vector<Seen>& seen = seen_[list.end.account.value];
    bool changed = is_over(seen, now);
    Listed& listed = listed_[list.end.account.value];
    changed = changed || listed.old;
    listed = {list.end.time, false};
    for (const Difference& d : now.found) {
        const auto known = std::find_if(seen.begin(), seen.end(),
                                        [&](const Seen& s) { return is_same(s.difference, d); });
        if (known == seen.end()) {
            seen.push_back({d, list.end.time, false});
            continue;
        }
        changed = changed || (known->told && !(known->difference == d));
        known->difference = d;
        if (!known->told && list.end.time - known->since >= apart_) {
            known->told = true;
            changed = true;
            tell(d);
        }
    }
    if (changed) {
        write();
    }
}

void BookCheck::mark_old(Nanos now) noexcept {
    if (now - marked_ < seconds(1)) {
        return;
    }
    marked_ = now;
    bool changed = false;
    for (auto& [account, listed] : listed_) {
        if (!listed.old && now - listed.at >= kOld) {
            listed.old = true;
            changed = changed || !seen_[account].empty();
        }
    }
    if (changed) {
        write();
    }
}

/// Forgets what this list does not show any more. What has something on its way stays as it is if
/// it was told, and is to be seen twice anew if not.
/// @return true if something that had been told is not so any more.
bool BookCheck::is_over(std::vector<Seen>& seen, const Comparison& now) {
    bool changed = false;
    bool mended = false;
    const auto gone = [&](const Seen& s) {
        const Difference& was = s.difference;
        const bool busy = was.symbol.value < kSymbolsMax && now.busy.test(was.symbol.value);
        const bool stands = std::any_of(now.found.begin(), now.found.end(),
                                        [&](const Difference& d) { return is_same(was, d); });
        if (stands || (busy && s.told)) {
            return false;
        }
        const bool differs_still =
            std::any_of(now.found.begin(), now.found.end(), [&](const Difference& d) {
                return d.ticket == was.ticket && d.is_order == was.is_order;
            });
        changed = changed || s.told;
        mended = mended || (s.told && !is_foreign(was) && !differs_still);
        return true;
    };
    seen.erase(std::remove_if(seen.begin(), seen.end(), gone), seen.end());
    if (mended) {
        segment_->report_error("replica", kOver);
    }
    return changed;
}

/// The error log has room for few: some by name, all others as one.
void BookCheck::tell(const Difference& d) {
    std::uint32_t& named = is_foreign(d) ? foreign_named_ : named_;
    if (named >= kNamedMax) {
        segment_->report_error("replica", is_foreign(d) ? kFurtherForeign : kFurther);
        return;
    }
    ++named;
    segment_->report_error("replica", text_of(d));
}

std::uint64_t BookCheck::standing() const noexcept {
    std::uint64_t n = 0;
    for (const auto& [account, seen] : seen_) {
        n += static_cast<std::uint64_t>(std::count_if(seen.begin(), seen.end(), [](const Seen& s) {
            return s.told && !is_foreign(s.difference);
        }));
    }
    return n;
}

/// For `millrace positions`. Whoever reads sees the file of before or this one.
void BookCheck::write() {
    // Relaxed: one writer; for people.
    segment_->core().book_differences.store(standing(), std::memory_order_relaxed);
    std::string text = std::string{kHead} + "\n";
    for (const auto& [account, seen] : seen_) {
        const auto listed = listed_.find(account);
        const bool old = listed != listed_.end() && listed->second.old;
        for (const Seen& s : seen) {
            if (!s.told) {
                continue;
            }
            std::string what = text_of(s.difference);
            constexpr std::string_view kAlert = "ALERT ";
            what = what.starts_with(kAlert) ? what.substr(kAlert.size()) : what;
            text += std::to_string(account) + (is_foreign(s.difference) ? " 1 " : " 0 ") +
                    std::to_string(s.since.value) + " " + what +
                    (old ? " (as of the last list: none for 10 minutes)\n" : "\n");
        }
    }
    const std::string path = differences_path(journal_dir_);
    const std::string next = path + ".next";
    std::ofstream file{next, std::ios::trunc};
    file << text;
    file.close();
    std::error_code failed;
    if (file) {
        std::filesystem::rename(next, path, failed);
    }
    if (!file || failed) {
        segment_->report_error("replica", path +
                                              " cannot be written: `millrace positions` does "
                                              "not show what differs from brokers");
    }
}

}  // namespace millrace
