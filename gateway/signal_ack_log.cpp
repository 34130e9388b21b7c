#include "gateway/signal_ack_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <utility>

namespace millrace {
namespace {

constexpr std::size_t kLineBytesMax = 512;

int format_head(char* line, const AckLogEntry& e, std::string_view kind) noexcept {
    return std::snprintf(line, kLineBytesMax,
                         "%016" PRIx64 "%016" PRIx64 " %.*s %" PRId64 " %" PRId64, e.request.id.hi,
                         e.request.id.lo, static_cast<int>(kind.size()), kind.data(),
                         e.request.send_time.value, e.ack_time.value);
}

int format_request(char* at, std::size_t room, const SignalRequest& r) noexcept {
    return std::snprintf(at, room,
                         " %016" PRIx64 "%016" PRIx64 " %s %s %u %u %u %" PRId64 " %" PRId64
                         " %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu32 " %u\n",
                         r.target.hi, r.target.lo, r.group.c_str(), r.symbol.c_str(),
                         static_cast<unsigned>(r.action), static_cast<unsigned>(r.side),
                         static_cast<unsigned>(r.price_kind), r.volume.value, r.price.value,
                         r.stop_loss.value, r.take_profit.value, r.reference_price.value, r.ttl_ms,
                         static_cast<unsigned>(r.flags));
}

bool parse_kind(const std::string& word, AckLogKind& kind) noexcept {
    for (const auto k : {AckLogKind::Submitted, AckLogKind::Accepted, AckLogKind::Duplicate,
                         AckLogKind::Refused}) {
        if (word == to_string(k)) {
            kind = k;
            return true;
        }
    }
    return false;
}

bool parse_request(std::istringstream& in, SignalRequest& r) {
    std::string target;
    unsigned action = 0;
    unsigned side = 0;
    unsigned price_kind = 0;
    in >> target >> r.group >> r.symbol >> action >> side >> price_kind >> r.volume.value >>
        r.price.value >> r.stop_loss.value >> r.take_profit.value >> r.reference_price.value >>
        r.ttl_ms;
    const auto id = parse_signal_id(target);
    if (!in || !id || action > 255 || side > 255 || price_kind > 255) {
        return false;
    }
    r.target = id.value();
    r.action = static_cast<SignalAction>(action);
    r.side = static_cast<Side>(side);
    r.price_kind = static_cast<PriceKind>(price_kind);
    unsigned flags = 0;  // lines of older builds end before it
    if (in >> flags && flags > 255) {
        return false;
    }
    r.flags = static_cast<std::uint8_t>(flags);
    return true;
}

/// @return what is wrong with the line, nullptr if nothing.
const char* parse_line(const std::string& line, AckLogEntry& e) {
    std::istringstream in{line};
    std::string id;
    std::string kind;
    in >> id >> kind >> e.request.send_time.value >> e.ack_time.value;
    const auto parsed = parse_signal_id(id);
    if (!in) {
        return "fewer than four fields";
    }
    if (!parsed) {
        return "the id is not 32 hex digits";
    }
    if (!parse_kind(kind, e.kind)) {
        return "the kind is none of submitted, accepted, duplicate, refused";
    }
    e.request.id = parsed.value();
    if (e.kind == AckLogKind::Submitted) {
        return parse_request(in, e.request) ? nullptr
                                            : "the submitted signal's fields are malformed";
    }
    unsigned reason = 0;
    if (!(in >> reason) || reason > 0xFFFF) {
        return "the reason is not a number below 65536";
    }
    e.reason = static_cast<Reason>(reason);
    return nullptr;
}

}  // namespace

std::string_view to_string(AckLogKind kind) noexcept {
    switch (kind) {
        case AckLogKind::Submitted: return "submitted";
        case AckLogKind::Accepted: return "accepted";
        case AckLogKind::Duplicate: return "duplicate";
        case AckLogKind::Refused: return "refused";
    }
    return "?";
}

std::string to_hex(const SignalId& id) {
    char text[33];
    std::snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, id.hi, id.lo);
    return text;
}

Result<SignalId> parse_signal_id(std::string_view text) noexcept {
    SignalId id;
    int digits = 0;
    for (const char c : text) {
        if (c == '-') {
            continue;
        }
        const bool lower = c >= 'a' && c <= 'f';
        const bool upper = c >= 'A' && c <= 'F';
        if (!lower && !upper && (c < '0' || c > '9')) {
            return {Errc::BadInput, "signal id: not a hex digit"};
        }
        const int base = lower ? 'a' - 10 : upper ? 'A' - 10 : '0';
        id.hi = (id.hi << 4) | (id.lo >> 60);
        id.lo = (id.lo << 4) | static_cast<std::uint64_t>(c - base);
        ++digits;
    }
    if (digits != 32) {
        return {Errc::BadInput, "signal id: 32 hex digits are needed"};
    }
    return id;
}

AckLogWriter::~AckLogWriter() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

AckLogWriter::AckLogWriter(AckLogWriter&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)}, torn_{std::exchange(other.torn_, false)} {}

AckLogWriter& AckLogWriter::operator=(AckLogWriter&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(torn_, other.torn_);
    return *this;
}

namespace {

constexpr char kSeal[] = {'!', '\n'};  // behind what there is of a line that is not whole

/// A writer that was killed inside its last line must not have the next one glued to it.
bool ends_unfinished(int fd) noexcept {
    const off_t end = ::lseek(fd, 0, SEEK_END);
    char last = '\n';
    return end > 0 && ::pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

}  // namespace

Result<AckLogWriter> AckLogWriter::open(const std::string& path, std::string& message) {
    AckLogWriter log;
    log.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log.fd_ < 0) {
        const int why = errno;
        message = "ack log " + path + " cannot be opened for writing: " + std::strerror(why);
        return {Errc::IoError, "ack log", why};
    }
    if (ends_unfinished(log.fd_) && ::write(log.fd_, kSeal, sizeof kSeal) != sizeof kSeal) {
        const int why = errno;
        message = "ack log " + path + " cannot be written: " + std::strerror(why);
        return {Errc::IoError, "ack log", why};
    }
    return log;
}

Status AckLogWriter::append(const AckLogEntry& e) noexcept {
    // The seal and the line in one buffer: they go out together or not at all, but for a full disk.
    char text[sizeof kSeal + kLineBytesMax];
    std::memcpy(text, kSeal, sizeof kSeal);
    const std::span line{text + sizeof kSeal, kLineBytesMax};
    const auto head = static_cast<std::size_t>(format_head(line.data(), e, to_string(e.kind)));
    const auto rest = line.subspan(head);
    const int n =
        e.kind == AckLogKind::Submitted
            ? format_request(rest.data(), rest.size(), e.request)
            : std::snprintf(rest.data(), rest.size(), " %u\n", static_cast<unsigned>(e.reason));
    const std::size_t bytes = head + static_cast<std::size_t>(n);
    ASSERT(bytes < line.size());  // names are at most 16 bytes, numbers at most 20 digits
    const char* const from = torn_ ? text : line.data();
    const std::size_t wanted = bytes + (torn_ ? sizeof kSeal : 0);
    ssize_t wrote = 0;
    do {
        wrote = ::write(fd_, from, wanted);
    } while (wrote < 0 && errno == EINTR);
    if (wrote != static_cast<ssize_t>(wanted)) {
        torn_ = torn_ || wrote > 0;
        return {Errc::IoError, "ack log: the line is not whole in the file",
                wrote < 0 ? errno : ENOSPC};
    }
    torn_ = false;
    return ok_status();
}

Result<AckLog> read_ack_log(const std::string& path, std::string& message) {
    std::ifstream in{path, std::ios::binary};
    if (!in) {
        const int why = errno;
        message = "ack log " + path + " cannot be read: " + std::strerror(why);
        return {why == ENOENT ? Errc::NotFound : Errc::IoError, "ack log", why};
    }
    AckLog log;
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
        const bool unfinished = in.eof();  // no newline behind it
        if (unfinished || (!line.empty() && line.back() == '!')) {
            log.torn_tail = true;  // torn, and sealed by the next writer
            continue;
        }
        AckLogEntry entry;
        if (const char* wrong = parse_line(line, entry); wrong != nullptr) {
            message = path + ":" + std::to_string(number) + ": " + wrong;
            return {Errc::BadInput, "ack log"};
        }
        log.entries.push_back(std::move(entry));
    }
    return log;
}

std::vector<SignalRequest> AckLog::unanswered() const {
    std::map<SignalId, std::size_t> waits;  // where it was submitted
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const AckLogEntry& e = entries[i];
        if (e.kind == AckLogKind::Submitted) {
            waits.try_emplace(e.request.id, i);
        } else {
            waits.erase(e.request.id);
        }
    }
    std::vector<std::size_t> places;
    for (const auto& [id, place] : waits) {
        places.push_back(place);
    }
    std::sort(places.begin(), places.end());
    std::vector<SignalRequest> open;
    for (const std::size_t place : places) {
        open.push_back(entries[place].request);
    }
    return open;
}

}  // namespace millrace
