#include "persist/journal_reader.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

constexpr std::uint64_t kCommitBlocksMax = kCommitBytesMax / kBlockBytes;
// A follower reads little, so that it does not drag unwritten blocks through the page cache; a
// reader that finds its whole window valid doubles it.
constexpr std::size_t kFirstReadBytes = 4 * kBlockBytes;

bool all_zero(std::span<const std::byte> bytes) noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::string name_of(const LogSource& source, const JournalFileName& file) {
    return source.path_of(file);
}

}  // namespace

JournalReader::JournalReader(LogSource& source, const Options& options) noexcept
    : source_{&source}, window_(std::max(options.window_bytes, 2 * kBlockBytes)) {}

Result<JournalReader> JournalReader::open(LogSource& source, Sequence after, const Options& options,
                                          std::string& message) {
    JournalReader reader{source, options};
    if (auto listed = reader.refresh(message); !listed) {
        return listed.error();
    }
    if (auto there = reader.start_behind(after, message); !there) {
        return there.error();
    }
    return reader;
}

Result<JournalReader> JournalReader::resume(LogSource& source, const LogCursor& after,
                                            const Options& options, std::string& message) {
    auto reader = open(source, after.seq, options, message);
    if (reader.ok() && reader.value().cursor_.chain != after.chain) {
        message = source.where() + ": record " + std::to_string(after.seq.value) +
                  " is not the one that this cursor was stored with: the cursor belongs to "
                  "another log. Rebuild what it was stored in";
        return {Errc::BadChain, "cursor does not match the log"};
    }
    return reader;
}

// Lists the files again. Those in use only grow in number; the current one stays where it is.
Status JournalReader::refresh(std::string& message) {
    auto listed = list_log(*source_);
    if (!listed) {
        message = source_->where() + ": " + listed.error().what;
        return listed.error();
    }
    const bool started = !files_.empty();
    const JournalFileName here = started ? files_[current_].name : JournalFileName{};
    std::vector<LogFile> kept;
    for (auto& file : listed.value()) {
        if (file.use != LogFileUse::Unused && file.name >= here) {
            kept.push_back(file);
        }
    }
    if (started && (kept.empty() || kept.front().name != here)) {
        message =
            name_of(*source_, here) + ": was removed, or its header damaged, while it was read";
        return {Errc::NotFound, "journal file vanished while it was read"};
    }
    files_ = std::move(kept);
    current_ = 0;
    return ok_status();
}

Status JournalReader::start_behind(Sequence after, std::string& message) {
    cursor_.seq = after;
    const LogFile* best = nullptr;
    for (const auto& file : files_) {
        if (file.use == LogFileUse::Used && file.header.first_seq <= after.value + 1) {
            best = &file;
        }
    }
    if (best == nullptr && files_.empty() && after.value == 0) {
        return ok_status();
    }
    if (best == nullptr && !files_.empty() && files_.front().use == LogFileUse::Bad) {
        message = name_of(*source_, files_.front().name) + ": " + files_.front().why.what +
                  "; restore this file from the standby or a backup";
        return {files_.front().why.code, "the oldest journal file is damaged"};
    }
    if (best == nullptr) {
        message = source_->where() + ": the log does not reach back to record " +
                  std::to_string(after.value + 1) +
                  "; start from a newer snapshot, or restore the older journal files";
        return {Errc::NotFound, "log begins later"};
    }
    current_ = static_cast<std::size_t>(best - files_.data());
    offset_ = commit_end_ = kBlockBytes;
    cursor_ = {best->name.epoch, Sequence{best->header.first_seq - 1}, best->header.previous_chain};
    return cursor_.seq == after ? ok_status() : seek_commit(after, message);
}

// Binary search for the group commit that holds `after`: commits lie behind each other in order,
// and within any kCommitBlocksMax blocks of the written part one begins.
Status JournalReader::seek_commit(Sequence after, std::string& message) {
    const LogFile file = files_[current_];  // a copy: next() may list the files again
    std::uint64_t low = 1;
    std::uint64_t high = file.header.segment_bytes / kBlockBytes;
    std::vector<std::byte> probe(kCommitBytesMax);
    while (high - low > 1) {
        const std::uint64_t middle = low + (high - low) / 2;
        const auto got = source_->read(file.name, middle * kBlockBytes, probe);
        if (!got) {
            message = name_of(*source_, file.name) + ": " + got.error().what;
            return got.error();
        }
        std::uint64_t found = 0;
        const std::uint64_t blocks =
            std::min({got.value() / kBlockBytes, kCommitBlocksMax, high - middle});
        for (std::uint64_t i = 0; i < blocks && found == 0; ++i) {
            const std::size_t at = i * kBlockBytes;
            const auto commit = parse_commit(std::span{probe}.subspan(at, kBlockBytes));
            const bool here = commit.ok() && commit.value().epoch == file.name.epoch &&
                              commit.value().index == file.name.index &&
                              commit.value().offset == (middle + i) * kBlockBytes;
            if (here && commit.value().first_seq <= after.value) {
                const auto frame = parse_frame(std::span{probe}.subspan(at, kBlockBytes));
                found = middle + i;
                cursor_.seq = Sequence{commit.value().first_seq - 1};
                cursor_.chain = frame.value().chain;
            } else if (here) {
                break;
            }
        }
        if (found != 0) {
            low = found;
        } else {
            high = middle;
        }
    }
    offset_ = commit_end_ = low * kBlockBytes;
    while (cursor_.seq < after && next() == ReadStatus::Record) {
    }
    if (failed_ || cursor_.seq != after) {
        message = failed_ ? place_.what
                          : name_of(*source_, file.name) + ": there is no record " +
                                std::to_string(after.value);
        return {failed_ ? place_.code : Errc::NotFound, "record is not in the log"};
    }
    return ok_status();
}

ReadStatus JournalReader::next(Sequence up_to, std::uint64_t epoch) noexcept {
    if (failed_) {
        return ReadStatus::Corrupt;
    }
    if (cursor_.seq >= up_to) {
        return ReadStatus::End;
    }
    // An epoch begun since we last looked may void the rest of the file that we are in.
    const bool outdated = !files_.empty() && files_.back().name.epoch < epoch;
    if (std::string why; (files_.empty() || outdated) && !refresh(why)) {
        return corrupt(Errc::IoError, why);
    }
    if (offset_ == 0) {
        if (files_.empty()) {
            return up_to == kWholeLog
                       ? ReadStatus::End
                       : corrupt(Errc::NotFound, source_->where() +
                                                     ": no journal "
                                                     "file, although records were acknowledged");
        }
        if (std::string why; !start_behind(cursor_.seq, why)) {
            return corrupt(Errc::NotFound, why);
        }
    }
    for (;;) {
        if (must_switch()) {
            if (switch_file() == ReadStatus::Corrupt) {
                return ReadStatus::Corrupt;
            }
            continue;
        }
        const auto frame = frame_here();
        if (!frame) {
            const ReadStatus status = on_invalid(frame.error(), up_to);
            if (status == ReadStatus::Record) {
                continue;
            }
            return status;
        }
        if (frame.value().kind == FrameKind::Commit) {
            if (!take_commit(frame.value())) {
                return ReadStatus::Corrupt;
            }
        } else if (frame.value().kind == FrameKind::Pad) {
            offset_ = commit_end_;
        } else if (frame.value().kind != FrameKind::Record) {
            return corrupt(Errc::BadLayout, "a frame that does not belong into a journal");
        } else {
            Sequence seq;
            if (frame.value().payload.size() >= JournalRecord::kHeaderBytes) {
                std::memcpy(&seq, frame.value().payload.data(), sizeof(seq));
            }
            if (seq > up_to) {
                return ReadStatus::End;
            }
            return take_record(frame.value()) ? ReadStatus::Record : ReadStatus::Corrupt;
        }
    }
}

// The frame at offset_, read again from the source if the window's copy of it is not valid.
Result<Frame> JournalReader::frame_here() noexcept {
    const std::uint64_t file_end = files_[current_].header.segment_bytes;
    if (offset_ >= file_end) {
        return {Errc::NotFound, "end of file"};
    }
    Result<Frame> frame{Errc::NotFound, "not read yet"};
    for (const bool fresh : {false, true}) {
        if (auto loaded = load(offset_, kBlockBytes, fresh); !loaded) {
            return loaded.error();
        }
        const std::size_t at = static_cast<std::size_t>(offset_ - window_at_);
        std::span<const std::byte> bytes{window_.data() + at, window_used_ - at};
        if (offset_ < commit_end_) {
            bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), commit_end_ - offset_));
        }
        frame = parse_frame(bytes);
        const bool starts_commit = offset_ == commit_end_;
        if (frame.ok() && starts_commit != (frame.value().kind == FrameKind::Commit)) {
            frame = Result<Frame>{Errc::BadLayout, "frame of the wrong kind here"};
        }
        if (frame.ok() && reused(files_[current_].header) && !of_this_life(frame.value())) {
            frame = Result<Frame>{Errc::BadChain, "bytes of an older life of this file"};
        }
        if (frame.ok()) {
            return frame;
        }
    }
    return frame;
}

// In a re-used file a valid frame proves nothing by itself: it may be what an older life left, also
// inside a group commit of which the power cut dropped sectors. Of this life is what names this
// very place and follows the record before it; an older record cannot, as the chain covers all
// records from the first one on.
bool JournalReader::of_this_life(const Frame& frame) const noexcept {
    const LogFile& file = files_[current_];
    if (frame.kind == FrameKind::Record) {
        return frame.chain == chain_next(cursor_.chain, frame.payload);
    }
    if (frame.kind != FrameKind::Commit || frame.payload.size() != sizeof(CommitHead)) {
        return frame.chain == cursor_.chain;
    }
    CommitHead head;
    std::memcpy(&head, frame.payload.data(), sizeof(head));
    return head.epoch == file.name.epoch && head.index == file.name.index &&
           head.offset == offset_ && frame.chain == cursor_.chain;
}

// Makes the window cover `bytes` at `offset`, as far as the file goes.
Status JournalReader::load(std::uint64_t offset, std::size_t bytes, bool fresh) noexcept {
    const bool covered = offset >= window_at_ && offset + bytes <= window_at_ + window_used_;
    if (covered && !fresh) {
        return ok_status();
    }
    const bool sequential =
        !fresh && window_used_ != 0 && offset >= window_at_ && offset <= window_at_ + window_used_;
    read_bytes_ = sequential ? std::min(read_bytes_ * 2, window_.size())
                             : std::min(kFirstReadBytes, window_.size());
    const auto got = source_->read(files_[current_].name, offset,
                                   std::span{window_}.first(std::max(read_bytes_, bytes)));
    if (!got) {
        return got.error();
    }
    window_at_ = offset;
    window_used_ = got.value();
    return ok_status();
}

bool JournalReader::must_switch() const noexcept {
    return current_ + 1 < files_.size() && files_[current_ + 1].use == LogFileUse::Used &&
           cursor_.seq.value + 1 >= files_[current_ + 1].header.first_seq;
}

// Record: the next file is the current one now.
ReadStatus JournalReader::switch_file() noexcept {
    const LogFile& to = files_[current_ + 1];
    if (cursor_.seq.value + 1 != to.header.first_seq) {
        return corrupt(Errc::BadLayout, name_of(*source_, to.name) + ": begins at record " +
                                            std::to_string(to.header.first_seq) +
                                            ", before the end of the file before it");
    }
    if (to.header.previous_chain != cursor_.chain) {
        return corrupt(Errc::BadChain, name_of(*source_, to.name) +
                                           ": does not follow the records before it (chain hash "
                                           "differs at record " +
                                           std::to_string(cursor_.seq.value) + ")");
    }
    ++current_;
    offset_ = commit_end_ = kBlockBytes;
    window_used_ = 0;
    return ReadStatus::Record;
}

bool JournalReader::take_commit(const Frame& frame) noexcept {
    const LogFile& file = files_[current_];
    CommitHead head;
    ASSERT(frame.payload.size() <= kBlockBytes);
    if (frame.payload.size() == sizeof(head)) {
        std::memcpy(&head, frame.payload.data(), sizeof(head));
    }
    const bool in_place = head.epoch == file.name.epoch && head.index == file.name.index &&
                          head.offset == offset_ && head.bytes % kBlockBytes == 0 &&
                          head.bytes != 0 && head.bytes <= kCommitBytesMax &&
                          offset_ + head.bytes <= file.header.segment_bytes;
    if (!in_place) {
        (void)corrupt(Errc::BadLayout, "a group commit that belongs elsewhere");
        return false;
    }
    if (frame.chain != cursor_.chain) {
        (void)corrupt(Errc::BadChain, "a group commit does not follow the record before it");
        return false;
    }
    commit_end_ = offset_ + head.bytes;
    offset_ += frame.bytes;
    return true;
}

bool JournalReader::take_record(const Frame& frame) noexcept {
    JournalRecord record;
    const auto bytes = frame.payload;
    if (bytes.size() < JournalRecord::kHeaderBytes || bytes.size() > sizeof(record)) {
        (void)corrupt(Errc::BadLayout, "a record of impossible size");
        return false;
    }
    std::memcpy(static_cast<void*>(&record), bytes.data(), bytes.size());
    if (record.version != kRecordVersion) {
        (void)corrupt(Errc::BadVersion, "a record of layout version " +
                                            std::to_string(record.version) + ", this program has " +
                                            std::to_string(kRecordVersion));
        return false;
    }
    if (bytes.size() != record_bytes(record.type)) {
        (void)corrupt(Errc::BadLayout, "a record whose size does not fit its type");
        return false;
    }
    const std::uint64_t expected = cursor_.seq.value + 1;
    const bool follows = record.seq.value == expected ||
                         (record.type == InputType::Jump && record.seq.value > expected);
    // In a re-used file frame_here() has compared the chain.
    const bool chained =
        reused(files_[current_].header) || frame.chain == chain_next(cursor_.chain, bytes);
    if (!follows || !chained) {
        (void)corrupt(Errc::BadChain, "record " + std::to_string(record.seq.value) +
                                          " does not follow record " +
                                          std::to_string(cursor_.seq.value));
        return false;
    }
    record_ = record;
    cursor_ = {files_[current_].name.epoch, record.seq, frame.chain};
    offset_ += frame.bytes;
    return true;
}

// No valid frame here. Record: look again, it goes on after all; End and Corrupt are final for
// this call.
ReadStatus JournalReader::on_invalid(const Error& why, Sequence up_to) noexcept {
    if (why.code == Errc::IoError) {
        return corrupt(Errc::IoError, why.what);
    }
    if (std::string message; !refresh(message)) {
        return corrupt(Errc::IoError, message);
    }
    if (must_switch()) {
        return ReadStatus::Record;
    }
    // A writer that is not waited for may have gone on here and rolled since we looked.
    if (current_ + 1 < files_.size() && frame_here().ok()) {
        return ReadStatus::Record;
    }
    if (current_ + 1 < files_.size()) {
        const LogFile& later = files_[current_ + 1];
        if (later.use == LogFileUse::Bad) {
            return corrupt(later.why.code, name_of(*source_, later.name) + ": " + later.why.what +
                                               "; it holds records that were acknowledged");
        }
        return corrupt(why.code == Errc::NotFound ? Errc::BadLayout : why.code,
                       std::string{why.what} + ", but " + later.name.text().data() +
                           " proves that every record before " +
                           std::to_string(later.header.first_seq) + " was written");
    }
    if (up_to != kWholeLog) {
        return corrupt(why.code == Errc::NotFound ? Errc::BadLayout : why.code,
                       std::string{why.what} + ", but records up to " +
                           std::to_string(up_to.value) + " were acknowledged");
    }
    return judge_tail(why);
}

// The last file's end. Damage is an end only if no later group commit says that what is missing
// had been acknowledged.
ReadStatus JournalReader::judge_tail(const Error& why) noexcept {
    const LogFile& file = files_[current_];
    if (judged_ && place_.file == file.name && place_.offset == offset_) {
        return ReadStatus::End;
    }
    // Zeros inside a commit are as torn as garbage is. Behind the last commit of a re-used file
    // anything may lie; there only a commit of this life tells that a write was torn.
    const bool older_life = reused(file.header);
    bool torn = (why.code != Errc::NotFound && !older_life) || offset_ < commit_end_;
    std::uint64_t at = offset_ / kBlockBytes * kBlockBytes;
    for (;;) {
        window_used_ = 0;
        const auto got = source_->read(file.name, at, window_);
        if (!got) {
            return corrupt(Errc::IoError, got.error().what);
        }
        const std::size_t blocks = got.value() / kBlockBytes;
        for (std::size_t i = 0; i < blocks; ++i, at += kBlockBytes) {
            const auto block =
                std::span<const std::byte>{window_}.subspan(i * kBlockBytes, kBlockBytes);
            if (at < offset_ || all_zero(block)) {
                continue;  // the block of the last valid record was judged by its frames
            }
            const auto commit =
                at > offset_ ? parse_commit(block) : Result<CommitHead>{Errc::NotFound};
            const bool here = commit.ok() && commit.value().epoch == file.name.epoch &&
                              commit.value().index == file.name.index &&
                              commit.value().offset == at;
            torn = torn || here || !older_life;
            const bool proof = here && commit.value().acked_seq > cursor_.seq.value;
            if (proof) {
                return corrupt(why.code == Errc::NotFound ? Errc::BadLayout : why.code,
                               std::string{why.what} + ", but the group commit at offset " +
                                   std::to_string(at) + " proves that records up to " +
                                   std::to_string(commit.value().acked_seq) + " were acknowledged");
            }
        }
        if (blocks == 0) {
            break;
        }
    }
    judged_ = true;
    place_ = {torn ? Errc::TornTail : Errc::Ok, file.name, offset_, cursor_.seq,
              name_of(*source_, file.name) + (torn ? ": torn tail" : ": end") + " at offset " +
                  std::to_string(offset_) + " behind record " + std::to_string(cursor_.seq.value)};
    return ReadStatus::End;
}

ReadStatus JournalReader::corrupt(Errc code, const std::string& what) noexcept {
    failed_ = true;
    const JournalFileName file = files_.empty() ? JournalFileName{} : files_[current_].name;
    // Retention may have re-used a file that a slow reader was in: that is no damage.
    const auto names = source_->list();
    if (!files_.empty() && names.ok() &&
        std::find(names.value().begin(), names.value().end(), file) == names.value().end()) {
        place_ = {Errc::NotFound, file, offset_, cursor_.seq,
                  name_of(*source_, file) +
                      ": was removed while it was read (retention); start again behind record " +
                      std::to_string(cursor_.seq.value) + " from a newer snapshot"};
        return ReadStatus::Corrupt;
    }
    place_ = {code, file, offset_, cursor_.seq,
              name_of(*source_, file) + ", offset " + std::to_string(offset_) + ", behind record " +
                  std::to_string(cursor_.seq.value) + ": " + what +
                  ". Restore this file from the standby or a backup; nothing was changed"};
    return ReadStatus::Corrupt;
}

}  // namespace millrace
