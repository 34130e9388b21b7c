#include "tools/demo_run/report.h"

#include <fmt/format.h>

namespace millrace::demo {
namespace {

constexpr std::size_t kProblemsShown = 20;

std::string ms(std::int64_t ns) {
    return ns < 0 ? "-" : inspect::human_ns(ns);
}

std::string input_text(const InputNote& input) {
    std::string text =
        fmt::format("  ticks      {}\n  signals    {}\n", input.ticks, input.signals);
    for (const auto& note : input.notes) {
        text += "             " + note + "\n";
    }
    for (const auto& [what, count] : input.defects) {
        text += fmt::format("  defect     {:>9}  {}\n", count, what);
    }
    for (const auto& [why, count] : input.skipped) {
        text += fmt::format("  skipped    {:>9}  {}\n", count, why);
    }
    return text;
}

std::string signal_text(const Report& r, const OrderSums& s) {
    const SourceCounts& c = r.source;
    std::string text = fmt::format(
        "Signals      sent {}  accepted {}  refused {}  repeats sent {}\n"
        "             answered Duplicate {}: repeats, and signals sent again to ask for their end\n"
        "             sent wrong on purpose and refused {}\n",
        c.sent, c.accepted, c.refused, c.repeats, c.duplicates, c.refused_on_purpose);
    for (const auto& [reason, count] : c.refusals) {
        text += fmt::format("  refused    {:>9}  {}\n", count, reason);
    }
    text += fmt::format(
        "Orders       {}  filled {}  cancelled {}  rejected {}  expired {}  were in doubt {}\n",
        s.orders, s.filled, s.canceled, s.rejected, s.expired, s.went_in_doubt);
    for (const auto& [end, count] : r.verdict.order_ends) {
        text += fmt::format("  ended      {:>9}  {}\n", count, end);
    }
    return text;
}

std::string latency_text(const inspect::PipelineView& view) {
    std::string text = fmt::format("Latency      {:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
                                   "hop", "count", "p50", "p90", "p99", "p99.9", "max");
    for (const inspect::HopStat& h : view.hops) {
        if (h.count > 0) {
            const auto at = [](std::uint64_t ns) { return ms(static_cast<std::int64_t>(ns)); };
            text += fmt::format("             {:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", h.name,
                                inspect::human_count(h.count), at(h.p50), at(h.p90), at(h.p99),
                                at(h.p999), at(h.max));
        }
    }
    return text +
           "             (signal_to_result of a pending order runs until it is filled or "
           "cancelled)\n";
}

std::string kill_text(const Report& r) {
    if (r.kills.empty()) {
        return "Kills        none\n";
    }
    std::string text = fmt::format("Kills        {:<12} {:>9} {:>9} {:>14} {:>12}\n", "SIGKILL of",
                                   "noticed", "running", "first message", "accounts up");
    for (const Kill& k : r.kills) {
        text += fmt::format("             {:<12} {:>9} {:>9} {:>14} {:>12}\n", k.stage,
                            ms(k.noticed_ns), ms(k.running_ns), ms(k.first_ns), ms(k.all_back_ns));
    }
    text += "New owners  ";
    for (const inspect::StageStat& s : r.view.stages) {
        if (owner_changes(s) > 0) {
            text += fmt::format(" {} {} ", s.name, owner_changes(s));
        }
    }
    return text + fmt::format(" simulated broker {}\n", r.broker_restarts);
}

std::string verdict_text(const Report& r) {
    const Verdict& v = r.verdict;
    std::string text = fmt::format(
        "Verdict      lost {}  doubled {}  in doubt {}   (checked against the broker's own books)\n"
        "             {} orders compared, {} deals in the books, {} of them executions of ours; "
        "{} positions open there\n"
        "             {} valid signals untouched by a fault: not carried out {}, expired {}\n",
        v.count(Wrong::Lost), v.count(Wrong::Doubled), r.view.core.in_doubt, v.checked_orders,
        r.book_deals, r.book_executions, r.book_positions, v.untouched, v.count(Wrong::Unfilled),
        v.count(Wrong::Expired));
    std::size_t shown = 0;
    for (const Problem& p : v.problems) {
        if (++shown > kProblemsShown) {
            text += fmt::format("  ... and {} more\n", v.problems.size() - kProblemsShown);
            break;
        }
        text += fmt::format("  {:<9} {} {}\n", to_string(p.wrong), to_hex(p.signal), p.text);
    }
    return text;
}

}  // namespace

bool Report::good() const noexcept {
    return verdict.good() && failures.empty() && unsettled == 0 && view.core.in_doubt == 0;
}

std::uint64_t owner_changes(const inspect::StageStat& stage) noexcept {
    return stage.generation > 0 ? stage.generation - 1 : 0;
}

OrderSums sum_orders(const Lives& lives) {
    OrderSums sums;
    for (const auto& [id, life] : lives.all()) {
        sums.orders += life.accounts;
        std::uint64_t told = 0;
        for (const auto& [account, share] : life.shares) {
            sums.went_in_doubt += share.was_in_doubt ? 1 : 0;
            if (!share.done) {
                continue;
            }
            ++told;
            if (share.cum_volume.value > 0 || share.status == OrdStatus::Filled) {
                ++sums.filled;
            } else if (share.status == OrdStatus::Rejected) {
                ++sums.rejected;
            } else if (share.status == OrdStatus::Expired) {
                ++sums.expired;
            } else {
                ++sums.canceled;
            }
        }
        // The rest is known by sum alone: its single results were missed while ingress was down.
        if (told == 0) {
            sums.filled += life.filled;
            sums.rejected += life.rejected;
        }
    }
    return sums;
}

std::string backend_words(std::uint32_t backend) {
    switch (static_cast<JournalBackend>(backend)) {
        case JournalBackend::UringDirect: return "io_uring, O_DIRECT";
        case JournalBackend::UringBuffered:
            return "io_uring without O_DIRECT (fall-back: this file system refuses O_DIRECT)";
        case JournalBackend::PwriteDirect:
            return "pwritev2, O_DIRECT (fall-back: this kernel or container refuses io_uring)";
        case JournalBackend::PwriteBuffered:
            return "pwritev2 without O_DIRECT (fall-back: io_uring and O_DIRECT are refused here)";
        case JournalBackend::None: break;
    }
    return "none";
}

std::string render_text(const Report& r, const OrderSums& sums) {
    std::string text = fmt::format(
        "\nInput        {} accounts, signals for {:.1f} s, speed {:g}{}\n", r.options.accounts,
        r.run_seconds, r.options.speed, r.options.threads ? ", stages as threads" : "");
    text += input_text(r.input);
    text += signal_text(r, sums);
    text += latency_text(r.view);
    text += kill_text(r);
    text += fmt::format(
        "Durability   ack {}, egress gate disk; journal by {}; {:.1f} MiB of /dev/shm\n",
        r.ack_disk ? "disk" : "process", backend_words(r.view.core.journal_backend),
        static_cast<double>(r.shm_bytes) / (1024.0 * 1024.0));
    text += verdict_text(r);
    for (const std::string& w : r.warnings) {
        text += "Warning      " + w + "\n";
    }
    for (const std::string& f : r.failures) {
        text += "FAILURE      " + f + "\n";
    }
    if (r.unsettled > 0) {
        text +=
            fmt::format("FAILURE      {} signals had no end when waiting was over\n", r.unsettled);
    }
    if (!r.kept_in.empty()) {
        text += "Kept in      " + r.kept_in + "\n";
    }
    return text + (r.good() ? "RESULT       OK\n" : "RESULT       NOT OK\n");
}

}  // namespace millrace::demo
