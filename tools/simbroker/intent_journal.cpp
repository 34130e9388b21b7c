#include "tools/simbroker/intent_journal.h"

#include "core/assert.h"
#include "core/crc32c.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace::sim {

enum class IntentJournal::Kind : std::uint8_t {
    Identity = 1,
    Session = 2,
    Received = 3,
    Sending = 4,
    Event = 5,
    EventAck = 6,
    Renumber = 7,
    Kill = 8,
    Intact = 9,
    CommandSeq = 10,
    Intent = 11,    // compacted: state and answer included
    Counters = 12,  // compacted: event and book numbers
};

// Each record: this head, then its body.
struct IntentJournal::Head {
    std::uint32_t crc32c = 0;  // over the head after this field and the body
    std::uint16_t bytes = 0;   // head and body
    Kind kind{};
    std::uint8_t version = 1;
};

namespace {

constexpr std::size_t kRecordBytesMax = 512;
// Rewrite when the file is this large and most of it describes the past.
constexpr std::uint64_t kCompactAboveBytes = 8U << 20U;

struct Identity {
    std::uint64_t id;
    std::uint64_t login;
    std::uint64_t book_number;
    std::int64_t created_ns;
};
struct EventBody {
    std::uint64_t seq;
    std::uint64_t book_number;
    std::uint64_t answers;
    bridge::Event event;
};
struct Counters {
    std::uint64_t event_seq;
    std::uint64_t book_number;
};

template <class Body>
Status read_into(std::span<const std::byte> bytes, Body& body) {
    if (bytes.size() != sizeof(Body)) {
        return {Errc::BadLayout, "intent journal: a record has another size than its kind"};
    }
    std::memcpy(&body, bytes.data(), sizeof body);
    return ok_status();
}

}  // namespace

template <class Body>
Status IntentJournal::write(Kind kind, const Body& body) {
    static_assert(std::is_trivially_copyable_v<Body> && sizeof(Head) == 8);
    static_assert(sizeof(Head) + sizeof(Body) <= kRecordBytesMax);
    if (!file_.is_open()) {
        return ok_status();  // memory alone, on request
    }
    std::byte record[sizeof(Head) + sizeof(Body)];
    Head head;
    head.bytes = sizeof record;
    head.kind = kind;
    std::memcpy(record, &head, sizeof head);
    std::memcpy(record + sizeof head, &body, sizeof body);
    head.crc32c = crc32c(std::span{record}.subspan(sizeof head.crc32c));
    std::memcpy(record, &head, sizeof head);
    return file_.append(record);
}

Result<IntentJournal> IntentJournal::open(const JournalOptions& options) {
    ASSERT(options.new_id != 0);
    IntentJournal journal;
    journal.path_ = options.path;
    journal.login_ = options.login;
    if (!options.path.empty()) {
        auto file = AppendFile::open(options.path);
        if (!file) {
            return file.error();
        }
        journal.file_ = std::move(file).value();
        const auto bytes = journal.file_.read_all();
        if (!bytes) {
            return bytes.error();
        }
        if (const auto loaded = journal.load(bytes.value(), options.login); !loaded) {
            return loaded.error();
        }
    }
    if (journal.id_ == 0) {
        if (const auto created = journal.create(options); !created) {
            return created.error();
        }
    }
    if (journal.file_.is_open() && journal.file_.size() > kCompactAboveBytes) {
        if (const auto compacted = journal.compact(); !compacted) {
            return compacted.error();
        }
    }
    return journal;
}

Status IntentJournal::create(const JournalOptions& options) {
    id_ = options.new_id;
    book_number_ = options.book_number;
    created_ns_ = options.now_ns;
    if (const auto s = write(Kind::Identity, Identity{id_, login_, book_number_, created_ns_});
        !s) {
        return s;
    }
    if (!options.account_has_history) {
        return ok_status();
    }
    IntactMemory lost;
    lost.intact = 0;
    return remember(lost);
}

Status IntentJournal::load(std::span<const std::byte> bytes, std::uint64_t login) {
    std::size_t at = 0;
    while (bytes.size() - at >= sizeof(Head)) {
        Head head;
        std::memcpy(&head, bytes.data() + at, sizeof head);
        if (head.bytes < sizeof(Head) || head.bytes > kRecordBytesMax ||
            head.bytes > bytes.size() - at) {
            break;
        }
        const auto record = bytes.subspan(at, head.bytes);
        if (crc32c(record.subspan(sizeof head.crc32c)) != head.crc32c) {
            break;
        }
        if (const auto s = replay(head.kind, record.subspan(sizeof head), login); !s) {
            return s;
        }
        at += head.bytes;
    }
    // One write(2) a record: only the very last one can be torn. More than that is damage.
    if (bytes.size() - at > kRecordBytesMax) {
        return {Errc::BadChecksum, "intent journal: a record inside the file was changed"};
    }
    return file_.cut_to(at);
}

Status IntentJournal::replay(Kind kind, std::span<const std::byte> body, std::uint64_t login) {
    switch (kind) {
        case Kind::Identity: return replay_identity(body, login);
        case Kind::Session: return read_into(body, session_);
        case Kind::Intact: return read_into(body, intact_);
        case Kind::CommandSeq: return read_into(body, session_.command_seq);
        case Kind::Kill: {
            KillMemory kill;
            const auto s = read_into(body, kill);
            keep(kill);
            return s;
        }
        case Kind::Counters: {
            Counters counters{};
            const auto s = read_into(body, counters);
            event_seq_ = counters.event_seq;
            book_number_ = counters.book_number;
            return s;
        }
        case Kind::Received:
        case Kind::Intent: return replay_intent(kind, body);
        case Kind::Event: {
            EventBody event{};
            const auto s = read_into(body, event);
            if (s) {
                keep_event(event.seq, event.book_number, event.answers, event.event);
            }
            return s;
        }
        case Kind::Sending:
        case Kind::EventAck:
        case Kind::Renumber: return replay_number(kind, body);
    }
    return {Errc::BadVersion, "intent journal: a record of a kind this version does not know"};
}

Status IntentJournal::replay_identity(std::span<const std::byte> body, std::uint64_t login) {
    Identity identity{};
    if (const auto s = read_into(body, identity); !s) {
        return s;
    }
    if (identity.login != login) {
        return {Errc::BadMagic, "intent journal: it belongs to another account"};
    }
    id_ = identity.id;
    book_number_ = identity.book_number;
    created_ns_ = identity.created_ns;
    return ok_status();
}

Status IntentJournal::replay_intent(Kind kind, std::span<const std::byte> body) {
    Intent intent;
    const auto s = read_into(body, intent);
    if (s) {
        keep(intent);
        session_.command_seq = kind == Kind::Received ? intent.seq : session_.command_seq;
    }
    return s;
}

Status IntentJournal::replay_number(Kind kind, std::span<const std::byte> body) {
    std::uint64_t number = 0;
    if (const auto s = read_into(body, number); !s) {
        return s;
    }
    if (kind == Kind::EventAck) {
        drop_acknowledged(number);
    } else if (kind == Kind::Renumber) {
        renumber(number);
    } else if (const auto it = intents_.find(number); it != intents_.end()) {
        it->second.state = IntentState::Sending;
    }
    return ok_status();
}

Status IntentJournal::write_state() {
    if (const auto s = write(Kind::Identity, Identity{id_, login_, book_number_, created_ns_});
        !s) {
        return s;
    }
    for (const std::uint64_t magic : order_) {
        if (const auto s = write(Kind::Intent, intents_.at(magic)); !s) {
            return s;
        }
    }
    for (const StoredEvent& event : events_) {
        if (const auto s = write(Kind::Event, EventBody{event.seq, 0, 0, event.event}); !s) {
            return s;
        }
    }
    if (const auto s = write(Kind::Counters, Counters{event_seq_, book_number_}); !s) {
        return s;
    }
    if (const auto s = write(Kind::Session, session_); !s) {
        return s;
    }
    for (const auto& [symbol, kill] : kills_) {
        if (const auto s = write(Kind::Kill, kill); !s) {
            return s;
        }
    }
    return write(Kind::Intact, intact_);
}

Status IntentJournal::compact() {
    const std::string next_path = path_ + ".next";
    std::remove(next_path.c_str());  // left by a death in the middle of this
    auto next = AppendFile::open(next_path);
    if (!next) {
        return next.error();
    }
    std::swap(file_, next.value());
    if (const auto s = write_state(); !s) {
        return s;
    }
    return file_.replace(next_path, path_);
}

const Intent* IntentJournal::find(std::uint64_t magic) const noexcept {
    const auto it = intents_.find(magic);
    return it == intents_.end() ? nullptr : &it->second;
}

void IntentJournal::keep(const Intent& intent) {
    const bool fresh = intents_.insert_or_assign(intent.command.magic, intent).second;
    if (fresh) {
        order_.push_back(intent.command.magic);
    }
    while (order_.size() > kIntentsMax &&
           intents_.at(order_.front()).state == IntentState::Answered) {
        // What is forgotten cannot be vouched for any more. An executor's own orders are above
        // everything an engine asks about, and must not take that with them.
        if (const std::uint64_t gone = Magic{order_.front()}.intent(); gone < kOwnIntents) {
            intact_.floor_intent = std::max(intact_.floor_intent, gone);
        }
        intents_.erase(order_.front());
        order_.pop_front();
    }
}

void IntentJournal::keep(const KillMemory& kill) {
    kills_[kill.symbol] = kill;
}

void IntentJournal::keep_event(std::uint64_t seq, std::uint64_t book_number, std::uint64_t answers,
                               const bridge::Event& event) {
    event_seq_ = seq;
    book_number_ = std::max(book_number_, book_number);
    events_.push_back({seq, event});
    if (const auto it = intents_.find(answers); answers != 0 && it != intents_.end()) {
        it->second.state = IntentState::Answered;
        it->second.answer = event;
    }
}

void IntentJournal::drop_acknowledged(std::uint64_t seq) {
    while (!events_.empty() && events_.front().seq <= seq) {
        events_.pop_front();
    }
}

void IntentJournal::renumber(std::uint64_t base) {
    event_seq_ = base;
    for (StoredEvent& event : events_) {
        event.seq = ++event_seq_;
    }
}

Status IntentJournal::remember(const SessionMemory& session) {
    const auto s = write(Kind::Session, session);
    if (s) {
        session_ = session;
    }
    return s;
}
Status IntentJournal::remember(const KillMemory& kill) {
    const auto s = write(Kind::Kill, kill);
    if (s) {
        keep(kill);
    }
    return s;
}
Status IntentJournal::remember(const IntactMemory& intact) {
    const auto s = write(Kind::Intact, intact);
    if (s) {
        intact_ = intact;
    }
    return s;
}
Status IntentJournal::received_without_intent(std::uint64_t seq) {
    const auto s = write(Kind::CommandSeq, seq);
    if (s) {
        session_.command_seq = seq;
    }
    return s;
}
Status IntentJournal::received(const Intent& intent) {
    const auto s = write(Kind::Received, intent);
    if (s) {
        keep(intent);
        session_.command_seq = intent.seq;
    }
    return s;
}
Status IntentJournal::sending(std::uint64_t magic) {
    const auto s = write(Kind::Sending, magic);
    if (const auto it = intents_.find(magic); s && it != intents_.end()) {
        it->second.state = IntentState::Sending;
    }
    return s;
}
Result<std::uint64_t> IntentJournal::add_event(const bridge::Event& event, std::uint64_t answers,
                                               std::uint64_t book_number) {
    const std::uint64_t seq = event_seq_ + 1;
    if (const auto s = write(Kind::Event, EventBody{seq, book_number, answers, event}); !s) {
        return s.error();
    }
    keep_event(seq, book_number, answers, event);
    return seq;
}
Status IntentJournal::acknowledged(std::uint64_t seq) {
    if (events_.empty() || events_.front().seq > seq) {
        return ok_status();
    }
    const auto s = write(Kind::EventAck, seq);
    if (!s) {
        return s;
    }
    drop_acknowledged(seq);
    if (file_.is_open() && file_.size() > 4 * kCompactAboveBytes) {
        return compact();
    }
    return s;
}
Status IntentJournal::sync() noexcept {
    return file_.is_open() ? file_.sync() : ok_status();
}
Status IntentJournal::renumber_above(std::uint64_t base) {
    const auto s = write(Kind::Renumber, base);
    if (s) {
        renumber(base);
    }
    return s;
}

}  // namespace millrace::sim
