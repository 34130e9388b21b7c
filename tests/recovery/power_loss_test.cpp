// Goal: after a power cut with a lost tail, over the real engine and journal stage: what was
// acknowledged at `disk` is there, no id is used twice, and nothing is sent before the broker was
// asked. Method: the journal dies first, so that orders leave whose records no disk has; then the
// rest; the segment is removed and the last file gets the torn tail of a commit. Which signals,
// answers and tears is drawn by a seed; what was sent and executed is counted outside.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>

#include "persist/journal_format.h"
#include "tests/recovery/pipeline.h"
#include "tests/recovery/whole_file.h"
#include "tests/seed.h"

namespace millrace::test {
namespace {

namespace fs = std::filesystem;
using Random = std::mt19937_64;

int below(Random& random, int bound) {
    return static_cast<int>(random() % static_cast<std::uint64_t>(bound));
}

/// The last journal file that something is written in: the next one may be prepared already.
fs::path last_file(const std::string& dir) {
    fs::path last;
    for (const auto& entry : fs::directory_iterator{dir}) {
        const fs::path& path = entry.path();
        if (path.extension() == ".mrj" && path > last &&
            read_whole(path).find_first_not_of('\0') != std::string::npos) {
            last = path;
        }
    }
    return last;
}

/// Writes what a disk may hold behind the last commit when the power goes: nothing, the first
/// sectors of a commit, or sectors of anything.
void tear(const std::string& dir, Random& random) {
    const fs::path path = last_file(dir);
    const std::string bytes = read_whole(path);
    const std::size_t used = bytes.find_last_not_of('\0') + 1;
    const std::size_t end = (used + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    ASSERT_GE(end, 2 * kBlockBytes) << path;
    std::string tail(static_cast<std::size_t>(1 + below(random, 3)) * kBlockBytes, '\0');
    const auto torn = static_cast<std::size_t>(512 * (1 + below(random, 7)));
    switch (below(random, 3)) {
        case 0: return;
        case 1:
            tail.replace(0, torn, bytes, end - kBlockBytes, torn);
            tail[sizeof(FrameHead)] ^= 1;  // whole, it would be a commit that belongs elsewhere
            break;
        default: std::generate_n(tail.begin(), torn, [&] { return static_cast<char>(random()); });
    }
    std::fstream out{path, std::ios::binary | std::ios::in | std::ios::out};
    out.seekp(static_cast<std::streamoff>(end));
    out.write(tail.data(), static_cast<std::streamsize>(tail.size()));
    ASSERT_TRUE(out.good()) << path;
}

/// Runs until the power goes. @return the last record that was acknowledged at `disk`.
std::uint64_t run_and_cut(Pipeline& p, Random& random) {
    p.create_segment();
    const pid_t journal = p.fork_journal(nullptr);
    const pid_t engine = p.fork_core(nullptr);
    p.send_config();
    p.connect_accounts(1);
    const CoreCells& core = p.segment().core();
    EXPECT_TRUE(p.play_until([&] {  // without a configuration nothing would be known afterwards
        return core.admin_applied.load() >= 4 + 2 * kAccounts &&
               core.durable.load() == core.completed.load();
    }));
    const bool has_replica = below(random, 2) == 0;
    const pid_t replica = has_replica ? p.fork_core(nullptr) : 0;
    const auto all_accepted = [&] { return p.accepted_at.size() == p.signals_sent; };
    for (int round = below(random, 3); round >= 0; --round) {
        p.send_signals(1 + below(random, 15));
        EXPECT_TRUE(p.play_until(all_accepted));
    }
    p.answering = below(random, 2) == 0;
    p.send_signals(1 + below(random, 10));
    EXPECT_TRUE(p.play_until(all_accepted));
    Pipeline::kill_and_reap(journal);
    const std::uint64_t durable = core.durable.load();
    p.send_signals(below(random, 15));  // their orders leave, their records never reach the disk
    EXPECT_TRUE(p.play_until(all_accepted));
    EXPECT_TRUE(p.play_until([&] { return p.executed.size() == p.signals_sent * kAccounts; }));
    if (has_replica) {
        Pipeline::kill_and_reap(replica);
    }
    Pipeline::kill_and_reap(engine);
    return durable;
}

void check_one(std::uint64_t seed) {
    Random random{seed};
    Pipeline p;
    const std::uint64_t durable = run_and_cut(p, random);
    ASSERT_NO_FATAL_FAILURE(tear(p.journal_dir(), random));
    const auto executed = p.executed;
    const std::uint64_t last_intent = *p.intents.rbegin();
    const auto accepted_at = p.accepted_at;

    p.create_segment();
    p.order_keys.clear();
    p.answering = true;
    p.fork_journal(nullptr);
    p.fork_core(nullptr);
    const CoreCells& core = p.segment().core();
    ASSERT_TRUE(p.play_until([&] { return core.completed.load() > durable; }));
    EXPECT_TRUE(p.order_keys.empty()) << "something was sent before any terminal was there";
    p.segment()
        .tick(SymbolId{0})
        .store({Price{110'000'000}, Price{110'001'000}, p.segment().clock().now()});
    const std::uint64_t applied = core.completed.load();
    p.connect_accounts(1U << 20);
    ASSERT_TRUE(p.play_until([&] {
        return core.in_doubt.load() == 0 && core.completed.load() > applied + kAccounts;
    })) << core.in_doubt.load()
        << " are in doubt";
    EXPECT_EQ(p.executed, executed) << "what may be at the broker was sent without asking";
    p.resend_signals();
    // What is not known is new: executed by new orders.
    const auto new_orders = [&] { return p.executed.size() - executed.size(); };
    ASSERT_TRUE(p.play_until([&] {
        return p.duplicates * kAccounts + new_orders() == p.signals_sent * kAccounts;
    })) << p.duplicates
        << " known and " << new_orders() << " orders sent for " << p.signals_sent << " signals";
    for (const auto& [signal, record] : accepted_at) {
        EXPECT_TRUE(record > durable || p.accepted_at[signal] == record)
            << "signal " << signal << " was acknowledged at disk, and is not known";
    }
    for (const auto& [magic, times] : p.executed) {
        EXPECT_EQ(times, 1) << "magic " << magic;
        EXPECT_TRUE(executed.count(magic) == 1 || Magic{magic}.intent() > last_intent)
            << "an id that had left the host was used again: " << magic;
    }
}

TEST(EnginePowerLoss, KeepsWhatTheDiskHadUsesNoIdTwiceAndAsksBeforeItSends) {
    const std::uint64_t cuts = std::getenv("MILLRACE_LONG") != nullptr ? 200 : 6;
    const std::uint64_t first = first_seed();
    for (std::uint64_t seed = first; seed < first + cuts && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        check_one(seed);
    }
}

}  // namespace
}  // namespace millrace::test
