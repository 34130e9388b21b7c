// Durable ack through the journal stage beside the best single 4 KiB durable write on the same
// disk, and journal throughput beside sequential O_DIRECT writes of the same block size: rivals
// and ours round by round in one run. Ours three times: each next file filled with zeros while the
// journal writes (no pool); from a pool filled before the round; and with retention re-using the
// files behind (the steady state of a journal at its byte cap).
//
//     bench_journal [--dir DIR] [--rounds N] [--json FILE]
#include "bench/journal/raw_disk.h"
#include "persist/journal_stage.h"
#include "persist/pwrite_disk.h"
#include "persist/spare_files.h"
#include "persist/uring_disk.h"
#include "shm/clock.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace millrace {
namespace {

constexpr int kWritesPerRound = 25;
constexpr std::uint32_t kSpares = 4;
constexpr std::int64_t kPoolWaitNs = 60'000'000'000;
constexpr std::uint32_t kSlots = 1U << 15;
constexpr unsigned kFullRestUs = 100;  // far less than writing what a full ring holds takes

struct Options {
    std::string dir = std::filesystem::temp_directory_path().string();
    std::string json;
    int rounds = 80;
};

using Samples = std::vector<std::int64_t>;

std::int64_t quantile(Samples samples, double q) {
    std::sort(samples.begin(), samples.end());
    const auto at = static_cast<std::size_t>(q * static_cast<double>(samples.size() - 1));
    return samples[at];
}

/// The stage with its ring. A single ack is measured with both ends in one thread, so that no
/// hand-over between cores is in it.
class Journal {
public:
    enum class Pool { None, Filled, Reused };
    Journal(const std::string& dir, Pool pool)
        : dir_{dir},
          pool_{pool},
          control_{std::make_unique<RingControl<>>()},
          slots_{std::make_unique<RingSlot<JournalRecord>[]>(kSlots)},
          cells_{std::make_unique<CoreCells>()} {
        control_->capacity = kSlots;
        control_->slot_bytes = sizeof(RingSlot<JournalRecord>);
        const RingView<JournalRecord> view{control_.get(), slots_.get()};
        producer_ = RingProducer<JournalRecord>::attach(view).value();
        JournalStageOptions options;
        options.directory = dir;
        std::filesystem::create_directories(dir);
        options.first_file_bytes = options.segment_bytes;
        options.spare_files = pool == Pool::None ? 0 : kSpares;
        std::string message;
        auto stage = JournalStage::open(options, view, *cells_, message);
        if (!stage) {
            die(message);
        }
        stage_ = std::move(stage).value();
    }
    [[nodiscard]] bool publish() {
        JournalRecord record;
        record.seq = Sequence{seq_ + 1};
        record.type = InputType::Signal;
        const bool published = producer_.try_publish(record).ok();
        seq_ += published ? 1 : 0;
        return published;
    }
    void until_durable(std::uint64_t seq) {
        while (cells_->durable.load(std::memory_order_acquire) < seq) {
            if (stage_->poisoned()) {
                die(stage_->error().what);
            }
            if (stage_->step(Nanos{1}) == 0) {
                stage_->wait_io(millis(1));
            }
        }
    }
    void one() {
        if (!publish()) {
            die("the ring is full");
        }
        until_durable(seq_);
    }
    /// Until the pool is as it is kept (a pool is filled from the first roll on).
    void rest() {
        const std::int64_t deadline = monotonic_ns() + kPoolWaitNs;
        while (pool_ != Pool::None && rolled_ && list_spares(dir_).size() < kSpares) {
            if (monotonic_ns() > deadline) {
                die("the pool was not filled in time");
            }
            ::usleep(1000);
        }
    }
    struct Done {
        std::uint64_t bytes = 0;
        std::uint64_t records = 0;
        std::int64_t ns = 0;
        std::int64_t cpu_ns = 0;  // of the journal's thread, the kernel's work on its behalf too
    };
    /// Until kThroughputBytes are on disk, with a thread that keeps the ring full, as the engine
    /// does: it rests when it is, or two cores would have none for the kernel's part of a write.
    Done sequential() {
        const std::uint64_t bytes = cells_->journal_bytes.load();
        const std::uint64_t first = seq_;
        std::atomic<bool> enough{false};  // relaxed, pairs with nothing: a bare stop
        std::thread engine{[&] {
            while (!enough.load(std::memory_order_relaxed)) {
                if (!publish()) {
                    ::usleep(kFullRestUs);
                }
            }
        }};
        std::thread retention{[&] {
            while (!enough.load(std::memory_order_relaxed)) {
                retire_behind();
                ::usleep(1000);
            }
        }};
        const std::int64_t cpu = thread_cpu_ns();
        const std::int64_t began = monotonic_ns();
        while (cells_->journal_bytes.load() - bytes < kThroughputBytes) {
            if (stage_->step(Nanos{1}) == 0) {
                stage_->wait_io(millis(1));
            }
        }
        enough.store(true, std::memory_order_relaxed);
        engine.join();
        until_durable(seq_);
        const Done done{cells_->journal_bytes.load() - bytes, seq_ - first, monotonic_ns() - began,
                        thread_cpu_ns() - cpu};
        retention.join();
        rolled_ = true;
        return done;
    }
    [[nodiscard]] const char* backend() const { return to_string(stage_->start().backend); }

private:
    static std::int64_t thread_cpu_ns() {
        timespec t{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return t.tv_sec * 1'000'000'000 + t.tv_nsec;
    }
    // What retention does in its own process, too: the files behind the last two go.
    void retire_behind() {
        if (cells_->journal_bytes.load() <= retired_bytes_ + kFileBytes) {
            return;
        }
        retired_bytes_ += kFileBytes;
        DirectorySource log{dir_};
        const auto files = log.list();
        if (!files) {
            die(files.error().what);
        }
        const SparePolicy policy{pool_ == Pool::Reused ? kSpares : 0, kFileBytes};
        for (std::size_t i = 0; i + 3 < files.value().size(); ++i) {
            (void)retire_file(dir_, files.value()[i], true, policy);
        }
    }
    const std::string dir_;
    const Pool pool_;
    std::uint64_t retired_bytes_ = 0;
    bool rolled_ = false;
    std::unique_ptr<RingControl<>> control_;
    std::unique_ptr<RingSlot<JournalRecord>[]> slots_;
    std::unique_ptr<CoreCells> cells_;
    RingProducer<JournalRecord> producer_;
    std::unique_ptr<JournalStage> stage_;
    std::uint64_t seq_ = 0;
};

template <class Work>
std::int64_t timed(Work&& work) {
    const std::int64_t start = monotonic_ns();
    work();
    return monotonic_ns() - start;
}

struct Row {
    std::string name;
    double value;
    double limit;
    double ratio;
    std::vector<double> rounds = {};  // ratio of each round; empty = it has none by rounds
};

void report(const std::vector<Row>& rows, const std::string& json) {
    for (const Row& r : rows) {
        std::printf("%-34s %12.1f   limit %12.1f   ratio %6.2f\n", r.name.c_str(), r.value, r.limit,
                    r.ratio);
    }
    if (json.empty()) {
        return;
    }
    std::FILE* file = std::fopen(json.c_str(), "w");
    if (file == nullptr) {
        die(json + ": " + std::strerror(errno));
    }
    std::fputs("[\n", file);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::fprintf(file,
                     "  {\"name\": \"%s\", \"value\": %.3f, \"limit\": %.3f, \"ratio\": %.4f, "
                     "\"rounds\": [",
                     rows[i].name.c_str(), rows[i].value, rows[i].limit, rows[i].ratio);
        for (std::size_t r = 0; r < rows[i].rounds.size(); ++r) {
            std::fprintf(file, "%s%.4f", r == 0 ? "" : ", ", rows[i].rounds[r]);
        }
        std::fprintf(file, "]}%s\n", i + 1 < rows.size() ? "," : "");
    }
    std::fputs("]\n", file);
    std::fclose(file);
}

/// The same quantile of each round's samples.
std::vector<double> by_round(const Samples& samples, double q) {
    std::vector<double> out;
    for (auto from = samples.begin(); from != samples.end(); from += kWritesPerRound) {
        out.push_back(static_cast<double>(quantile(Samples(from, from + kWritesPerRound), q)));
    }
    return out;
}
std::vector<double> ratios_of(const std::vector<double>& ours, const std::vector<double>& limit) {
    std::vector<double> out;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        out.push_back(ours[i] / limit[i]);
    }
    return out;
}

void latency(RawFile& file, RawUring& uring, Journal& journal, int rounds, std::vector<Row>& rows) {
    Samples fdatasync_ns, dsync_ns, uring_ns, ack_ns;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < kWritesPerRound; ++i) {
            fdatasync_ns.push_back(timed([&] { file.write_fdatasync(); }));
        }
        for (int i = 0; i < kWritesPerRound; ++i) {
            dsync_ns.push_back(timed([&] { file.write_dsync(); }));
        }
        for (int i = 0; i < kWritesPerRound; ++i) {
            uring_ns.push_back(timed([&] { uring.write_one(); }));
        }
        for (int i = 0; i < kWritesPerRound; ++i) {
            ack_ns.push_back(timed([&] { journal.one(); }));
        }
    }
    const Samples* means[] = {&fdatasync_ns, &dsync_ns, &uring_ns};
    for (const auto& [q, name] : {std::pair{0.5, "p50"}, std::pair{0.99, "p99"}}) {
        const auto us = [at = q](const Samples& s) {
            return static_cast<double>(quantile(s, at)) / 1000.0;
        };
        // The means that is best over all rounds, not another one in each.
        const Samples& best_ns =
            **std::min_element(std::begin(means), std::end(means),
                               [&](const Samples* a, const Samples* b) { return us(*a) < us(*b); });
        const double best = us(best_ns);
        std::printf(
            "4 KiB durable write %s, us: pwrite+fdatasync %.1f, RWF_DSYNC %.1f, "
            "io_uring DSYNC %.1f\n",
            name, us(fdatasync_ns), us(dsync_ns), us(uring_ns));
        // A round's few writes have a median, but no p99 worth the name.
        const bool of_rounds = q == 0.5;
        rows.push_back({std::string{"durable_ack_"} + name + "_us", us(ack_ns), best,
                        us(ack_ns) / best,
                        of_rounds ? ratios_of(by_round(ack_ns, q), by_round(best_ns, q))
                                  : std::vector<double>{}});
    }
}

/// One way of having the next file, with what its rounds gave.
struct Contender {
    const char* name;
    std::unique_ptr<Journal> journal;
    std::vector<double> megabytes, records, cpu_ns;
    void round() {
        journal->rest();
        const Journal::Done done = journal->sequential();
        const auto ns = static_cast<double>(done.ns);
        const auto count = static_cast<double>(done.records);
        megabytes.push_back(static_cast<double>(done.bytes) * 1e3 / ns);
        records.push_back(count * 1e9 / ns);
        cpu_ns.push_back(static_cast<double>(done.cpu_ns) / count);
    }
    void forget() {
        for (auto* of : {&megabytes, &records, &cpu_ns}) {
            of->clear();
        }
    }
};
double median(std::vector<double> of) {
    std::sort(of.begin(), of.end());
    return of[of.size() / 2];
}

void throughput(RawFile& file, RawUring& uring, std::vector<Contender>& ours, int rounds,
                std::vector<Row>& rows) {
    Samples pwrite_ns, uring_ns;
    for (Contender& c : ours) {
        c.round();  // the first rolls, and the pool
    }
    for (Contender& c : ours) {
        c.forget();
    }
    for (int round = 0; round < rounds; ++round) {
        for (Contender& c : ours) {
            c.journal->rest();
        }
        pwrite_ns.push_back(timed([&] { file.sequential(); }));
        uring_ns.push_back(timed([&] { uring.sequential(); }));
        for (Contender& c : ours) {
            c.round();
        }
    }
    const auto mb = [](const Samples& s) {
        return static_cast<double>(kThroughputBytes) * 1e3 / static_cast<double>(quantile(s, 0.5));
    };
    const double limit = std::max(mb(pwrite_ns), mb(uring_ns));
    std::printf("sequential 256 KiB O_DIRECT, MB/s: pwrite %.0f, io_uring DSYNC x4 %.0f\n",
                mb(pwrite_ns), mb(uring_ns));
    std::vector<double> limits;
    for (const std::int64_t ns : mb(pwrite_ns) > mb(uring_ns) ? pwrite_ns : uring_ns) {
        limits.push_back(static_cast<double>(kThroughputBytes) * 1e3 / static_cast<double>(ns));
    }
    for (const Contender& c : ours) {
        const double mine = median(c.megabytes);
        std::printf("%s: %.0f records/s, %.0f ns of the journal thread's CPU each\n", c.name,
                    median(c.records), median(c.cpu_ns));
        rows.push_back({c.name, mine, limit, mine / limit, ratios_of(c.megabytes, limits)});
    }
}

int run(const Options& options) {
    std::string dir = options.dir + "/bench-journal-XXXXXX";
    if (::mkdtemp(dir.data()) == nullptr) {
        die(dir + ": " + std::strerror(errno));
    }
    std::filesystem::create_directories(dir + "/raw");
    std::filesystem::create_directories(dir + "/journal");
    std::vector<Row> rows;
    {
        RawFile file{dir + "/raw/file"};
        RawUring uring{dir + "/raw"};
        std::vector<Contender> ours;
        const auto add = [&](const char* name, Journal::Pool pool) {
            ours.push_back({name, std::make_unique<Journal>(dir + "/" + name, pool), {}, {}, {}});
        };
        add("journal_zero_filling_MB_s", Journal::Pool::None);
        add("journal_throughput_MB_s", Journal::Pool::Filled);
        add("journal_reusing_MB_s", Journal::Pool::Reused);
        Journal& journal = *ours[1].journal;
        std::printf("journal backend %s in %s\n", journal.backend(), dir.c_str());
        latency(file, uring, journal, options.rounds, rows);
        throughput(file, uring, ours, std::max(3, options.rounds / 10), rows);
    }
    std::filesystem::remove_all(dir);
    report(rows, options.json);
    return 0;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
    millrace::Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string key = argv[i];
        if (key == "--dir") {
            options.dir = argv[i + 1];
        } else if (key == "--json") {
            options.json = argv[i + 1];
        } else if (key == "--rounds") {
            options.rounds = std::max(1, std::atoi(argv[i + 1]));
        } else {
            millrace::die("usage: bench_journal [--dir DIR] [--rounds N] [--json FILE]");
        }
    }
    return millrace::run(options);
}
