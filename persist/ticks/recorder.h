// Recorder: every tick of every source on disk for a day and more, and what is missing known.
//
// Sources number the ticks of each series (seq 1, 2, 3 ... in a stream that has an id of its own).
// A jump in the numbers, or a stream that is further than the record when it is announced, is a
// gap: written down, asked for (Request), filled, closed; all of it in the log, so that a recorder
// that was killed goes on asking. A gap is exact: "after the first `skip` ticks at `from`,
// `missing` of them", or all up to `to` where a new stream's numbers cannot tell how many.
#pragma once

#include "persist/ticks/tick_files.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace millrace::ticklog {

struct RecorderOptions {
    std::string directory;
    std::uint32_t keep_h = 26;       // at least so many hours stay on disk; 24 to kKeepHoursMax
    std::uint32_t file_s = 3600;     // a file's time
    std::uint32_t flush_ms = 1000;   // a tick waits so long at most before it is written
    std::uint32_t ask_again_s = 30;  // no answer for so long: the source is asked again
    // With less than this free on its file system nothing is written: the room that is left there
    // is somebody else's, the journal's.
    std::uint64_t free_floor_bytes = 0;
};

/// What a source is asked for: its ticks of `symbol` with from <= time <= to, oldest first.
struct BackfillRequest {
    std::uint64_t request = 0;  // names the answer: another one for each try
    SeriesKey series;
    Nanos from;
    Nanos to;
    std::uint32_t limit = 0;  // ticks of the answer; there may be more
};

struct RecorderStats {
    std::uint64_t ticks = 0;
    std::uint64_t filled = 0;     // back-filled ticks
    std::uint64_t repeats = 0;    // ticks that were recorded already
    std::uint64_t refused = 0;    // not taken: the disk refuses and memory is full; a gap follows
    std::uint64_t gaps = 0;       // opened
    std::uint64_t closed = 0;     // gaps that are over
    std::uint64_t lost_gaps = 0;  // of them not filled completely
    std::uint64_t strays = 0;     // ticks and ends of answers that nobody waits for (any more)
    std::uint64_t blocks_failed = 0;
    std::uint64_t bytes = 0;  // written
};

/// How far a source's series is, as the source says.
struct Announcement {
    std::uint64_t stream = 0;  // id of the numbering; not 0
    std::uint64_t seq = 0;     // ticks so far in it
    Nanos time;                // of the last one, or of the last before the stream; 0 = not known
    std::uint64_t count = 0;   // ticks that share that time
};

/// Threads: one. Blocks in write() and, once a file, in fdatasync(): a thread of its own, never
/// that of the latest-tick table.
/// Times: `now` is UTC of a clock that never steps while the process lives (shm/clock.h, Clock).
/// Waits are measured by it; nothing is thrown away because of it alone: see remove_old().
/// Crash: what was not flushed (flush_ms) is missing at the next start, and is back-filled.
class Recorder {
public:
    /// Makes the directory, learns from its newest files how far each series is and which gaps are
    /// open, begins a file. @param told gets what was odd about the files (torn last blocks).
    /// @return IoError, NoSpace (free_floor_bytes too); BadInput (keep_h).
    static Result<std::unique_ptr<Recorder>> open(RecorderOptions options, Nanos now,
                                                  std::vector<std::string>& told);

    /// A source is there: what it was asked before is asked again.
    void feed_up(std::uint64_t feed);
    void feed_down(std::uint64_t feed);
    /// A source tells how far a series is. What the record has not got of it is a gap; of a new
    /// stream that does not know when it began, up to its first live tick.
    void announce(const SeriesKey& key, const Announcement& a);
    /// A live tick of the stream that was announced. @param same how many of the series before it
    /// have its very time: with ticks missing among those, nobody else could tell.
    void tick(const SeriesKey& key, const LogTick& tick, std::uint64_t same);

    /// The next thing to ask `feed`, at most kAsksMax at a time.
    [[nodiscard]] std::optional<BackfillRequest> next_request(std::uint64_t feed, Nanos now);
    /// Ticks of an answer, in its order. Those of a request that is not out are nobody's.
    void answer(const SeriesKey& key, std::uint64_t request, std::span<const LogTick> ticks);
    /// The answer is whole. @param more it was cut at the limit. @param from_start false: the
    /// source has not got all of the range any more.
    void answer_end(std::uint64_t feed, std::uint64_t request, bool more, bool from_start);

    /// Writes what is due, begins files, removes old ones. Every 50 ms or so.
    /// @return what the disk said last; the same is tried again after flush_ms. Poisoned: nothing
    /// more can be written; end the process, the next one begins a file and back-fills.
    Status step(Nanos now);
    /// Writes everything that waits.
    Status flush(Nanos now);

    /// RecorderOptions::free_floor_bytes from the next look on, 5 s after the last at most.
    void set_free_floor(std::uint64_t bytes) noexcept { options_.free_floor_bytes = bytes; }
    [[nodiscard]] const RecorderStats& stats() const noexcept { return stats_; }
    [[nodiscard]] std::size_t open_gaps() const noexcept { return gaps_.size(); }

    /// Ticks of one answer at most, besides those that are skipped.
    static constexpr std::uint32_t kAnswerTicks = 2'000;
    static constexpr std::size_t kAsksMax = 16;
    static constexpr std::uint32_t kKeepHoursMax = 10 * 366 * 24;

private:
    struct Series {
        std::uint64_t stream = 0;
        std::uint64_t seq = 0;
        Nanos time;
        std::uint64_t count = 0;        // at `time`
        std::uint64_t next_stream = 0;  // announced, its beginning not known: its first tick ends
                                        // the gap. On disk only then.
    };
    struct Gap {
        SeriesKey key;
        Mark at;                      // as opened, or as moved last
        std::uint64_t filled = 0;     // so far, written by this process
        bool cut = false;             // its oldest part was given up
        std::vector<LogTick> answer;  // of the request that is out
    };
    struct Asked {
        std::uint64_t gap = 0;
        std::uint32_t limit = 0;
        Nanos when;
    };
    struct Feed {
        bool up = false;
        std::deque<std::uint64_t> gaps;        // to be asked for
        std::map<std::uint64_t, Asked> asked;  // requests that are out, oldest first
    };
    class Learner;

    explicit Recorder(RecorderOptions options) : options_{std::move(options)} {}
    void learn(std::vector<std::string>& told);
    void restart_file();
    void mark(const SeriesKey& key, const Mark& mark);
    struct GapEnd {
        Nanos time;
        std::uint64_t missing = 0;  // 0 = not known
        std::uint64_t count = 0;    // ticks at `time` that are before the end; 0 = all
    };
    void open_gap(const SeriesKey& key, const Series& s, const GapEnd& until);
    void close_gap(std::uint64_t id, GapResult result);
    void give_back(Feed& feed);
    void ask_again(Feed& feed, Nanos now);
    [[nodiscard]] Asked* find_asked(std::uint64_t feed, std::uint64_t request);
    struct Fill {
        std::vector<LogTick> ticks;
        Nanos time;  // of the last one, and how many the series has at it
        std::uint64_t count = 0;
        bool is_cut = false;  // at kAnswerTicks
    };
    [[nodiscard]] static Fill new_ones(const Gap& gap);
    void write_fill(Gap& gap, const Fill& fill);
    void begin_stream(const SeriesKey& key, Series& s, const LogTick& first, std::uint64_t same);
    void write_state(const SeriesKey& key, const Series& s);
    Status write_out(Nanos now);
    Status rotate(Nanos now);
    void remove_old(Nanos now) const;
    [[nodiscard]] bool has_room(Nanos now);

    RecorderOptions options_;
    BlockWriter block_;
    TickFileWriter file_;
    std::vector<std::byte> waiting_;  // blocks not yet written
    std::map<SeriesKey, Series> series_;
    std::map<std::uint64_t, Gap> gaps_;    // open ones, by id
    std::map<std::uint64_t, Feed> feeds_;  // by login
    std::uint64_t next_gap_ = 1;
    std::uint64_t next_request_ = 1;
    Nanos newest_;  // time of a tick
    Nanos flushed_;
    Nanos rotated_;
    Nanos looked_;  // for room, next
    bool has_room_ = true;
    Status written_ = ok_status();  // of the last try
    RecorderStats stats_;
};

}  // namespace millrace::ticklog
