// What the venue says, and what is sent. Only this folder's quickfix_*.cpp see QuickFIX's headers.
#include "gateway/fix/session/quickfix_session.h"

#include "gateway/fix/session/refusal_words.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <sstream>

namespace millrace {
namespace fix {
namespace {

constexpr std::size_t kNewsMax = 65536;

/// Better dead than lying: the owner is restarted, and what was not dealt with comes again.
[[noreturn]] void die(const char* what) {
    std::fprintf(stderr, "fix: %s; ending\n", what);
    std::_Exit(1);
}

/// Value of a numeric field in a raw message; 0 if it is not there.
std::uint32_t number_in(const std::string& raw, const char* field) {
    const std::size_t at = raw.find(field);
    return at == std::string::npos ? 0
                                   : static_cast<std::uint32_t>(std::strtoul(
                                         raw.c_str() + at + std::strlen(field), nullptr, 10));
}

}  // namespace

void Wire::onIncoming(const std::string& raw) {
    owner_.messages().write('<', raw);
    owner_.on_raw(raw);
}
void Wire::onOutgoing(const std::string& raw) {
    owner_.messages().write('>', raw);
    if (raw.find("\x01"
                 "35=A\x01") != std::string::npos) {
        owner_.note_logon_sent();
    }
}
void Wire::onEvent(const std::string& text) {
    owner_.messages().write('*', text);
    if (text.compare(0, 14, "Connecting to ") == 0) {
        owner_.note_dial();
    }
    if (text.find("Rejected: Tag appears more than once") != std::string::npos) {
        owner_.hand_out_refused();
    }
    owner_.tell_held_back();
}

std::uint32_t QuickfixSession::sender() const {
    const std::lock_guard<std::mutex> hold{mutex_};
    return file_.sender();
}
std::uint32_t QuickfixSession::target() const {
    const std::lock_guard<std::mutex> hold{mutex_};
    return target_;
}
void QuickfixSession::set_sender(std::uint32_t next) {
    const std::lock_guard<std::mutex> hold{mutex_};
    if (!file_.set_sender(next)) {
        die("the sequence numbers cannot be written");
    }
}

/// QuickFIX has handed out everything below `next`. It counts as received when the owner says so.
/// But one that it refuses it counts before it says so, and only then we hand it out: until then,
/// the owner must not hear of it.
void QuickfixSession::set_target(std::uint32_t next) {
    {
        const std::lock_guard<std::mutex> hold{mutex_};
        target_ = next;
        moved_ = Clock::now();
    }
    tell_held_back();
    if (next == raw_number_ + 1 && passed_number_ != raw_number_) {
        held_back_ = next;
        return;
    }
    tell(SessionNews::Kind::Processed, next, "");
}

/// Whatever QuickFIX does after it has counted a message: that one has been handed out by now, if
/// it is to be.
void QuickfixSession::tell_held_back() {
    if (held_back_ != 0) {
        const std::uint32_t next = held_back_;
        held_back_ = 0;
        tell(SessionNews::Kind::Processed, next, "");
    }
}

void QuickfixSession::processed(std::uint32_t number) {
    const std::lock_guard<std::mutex> hold{mutex_};
    if (!file_.set_target(number)) {
        die("the sequence numbers cannot be written");
    }
}

void QuickfixSession::tell(SessionNews::Kind kind, std::uint32_t number, const std::string& text) {
    const std::lock_guard<std::mutex> hold{mutex_};
    if (news_.size() >= kNewsMax) {
        die("nobody takes the venue's messages");
    }
    // Of several in a row only the last says something.
    const bool again =
        kind == SessionNews::Kind::Processed && !news_.empty() && news_.back().kind == kind;
    if (again) {
        news_.back().number = number;
        return;
    }
    SessionNews news;
    news.kind = kind;
    news.number = number;
    news.text = text;
    news_.push_back(std::move(news));
    const std::uint64_t one = 1;
    // Only a full counter could refuse it, and that is readable as well.
    const ssize_t ignored = ::write(news_fd_, &one, sizeof(one));
    static_cast<void>(ignored);
}

std::vector<SessionNews> QuickfixSession::take() {
    std::uint64_t count = 0;
    const ssize_t ignored = ::read(news_fd_, &count, sizeof(count));
    static_cast<void>(ignored);  // nothing there: nothing taken
    std::vector<SessionNews> taken;
    const std::lock_guard<std::mutex> hold{mutex_};
    taken.swap(news_);
    return taken;
}

/// Every message as it came, before QuickFIX looks at it.
void QuickfixSession::on_raw(const std::string& raw) {
    tell_held_back();
    raw_ = raw;
    raw_number_ = number_in(raw,
                            "\x01"
                            "34=");
    const bool logon = raw.find(
                           "\x01"
                           "35=A\x01") != std::string::npos;
    const bool reset = raw.find(
                           "\x01"
                           "141=Y\x01") != std::string::npos;
    const bool repeat = raw.find(
                            "\x01"
                            "43=Y\x01") != std::string::npos;
    const std::lock_guard<std::mutex> hold{mutex_};
    if (logon && !reset && !repeat && raw_number_ != 0 && raw_number_ < target_) {
        venue_went_back_ = raw_number_;  // QuickFIX will end the connection for it
    }
    if (raw_number_ > highest_seen_) {
        // Inside a gap more of them are no progress.
        moved_ = highest_seen_ < target_ ? Clock::now() : moved_;
        highest_seen_ = raw_number_;
    }
}

void QuickfixSession::onLogon(const FIX::SessionID&) {
    {
        const std::lock_guard<std::mutex> hold{mutex_};
        attempt_.logged_on = on_ = true;
    }
    tell(SessionNews::Kind::LoggedOn, 0, "");
}

/// Also after a logon that failed. The session's numbers may be set here: it is over.
void QuickfixSession::onLogout(const FIX::SessionID&) {
    tell_held_back();
    bool mended = false;
    if (venue_went_back_ != 0) {
        tell(SessionNews::Kind::Trouble, 0,
             "the venue's sequence numbers went back to " + std::to_string(venue_went_back_) +
                 "; taken over, the next logon goes on from there");
        set_target(venue_went_back_);
        venue_went_back_ = 0;
        mended = true;
    }
    if (venue_expects_ > sender()) {
        tell(SessionNews::Kind::Trouble, 0,
             "the venue expects our sequence number " + std::to_string(venue_expects_) +
                 ", we were at " + std::to_string(sender()) + "; taken over");
        set_sender(venue_expects_);
        mended = true;
    }
    venue_expects_ = 0;
    {
        const std::lock_guard<std::mutex> hold{mutex_};
        highest_seen_ = 0;
        attempt_.mended = attempt_.mended || mended;
        on_ = false;
    }
    tell(SessionNews::Kind::LoggedOut, 0, "");
}

void QuickfixSession::toAdmin(FIX::Message& message, const FIX::SessionID&) {
    FIX::Header& header = message.getHeader();
    if (!settings_.sender_sub_id.empty()) {
        header.setField(50, settings_.sender_sub_id);
    }
    if (!settings_.target_sub_id.empty()) {
        header.setField(57, settings_.target_sub_id);
    }
    if (header.getField(35) == "4" && message.isSetField(123)) {
        tell(SessionNews::Kind::PassedOver,
             static_cast<std::uint32_t>(std::stoul(header.getField(34))), "");
    }
    if (header.getField(35) == "A" && !settings_.username.empty()) {
        message.setField(553, settings_.username);
        message.setField(554, settings_.password);
    }
}

/// Under the session's mutex, so that what is seen here holds until the message has left.
void QuickfixSession::toApp(FIX::Message& message, const FIX::SessionID&) throw(FIX::DoNotSend) {
    FIX::Header& header = message.getHeader();
    const bool repeat = header.isSetField(43);
    if (repeat || !logged_on()) {
        refused_ = refused_ || !repeat;
        throw FIX::DoNotSend();
    }
    if (!settings_.sender_sub_id.empty()) {
        header.setField(50, settings_.sender_sub_id);
    }
    if (!settings_.target_sub_id.empty()) {
        header.setField(57, settings_.target_sub_id);
    }
    sent_number_ = static_cast<std::uint32_t>(std::stoul(header.getField(34)));
}

/// Hands a message out as it came. One that waited for a gap to be filled is not the one that was
/// read last: then its fields in QuickFIX's order have to do.
void QuickfixSession::hand_out(const FIX::Message& message) {
    const std::uint32_t number =
        static_cast<std::uint32_t>(std::stoul(message.getHeader().getField(34)));
    const std::string type = message.getHeader().getField(35);
    if (number != raw_number_ && (type == "W" || type == "X")) {
        return;  // its groups are out of order, and a quote that waited is worth nothing
    }
    tell(SessionNews::Kind::Message, number, number == raw_number_ ? raw_ : message.toString());
}

/// QuickFIX refuses a message with a group that its dictionary does not know, and has counted it
/// as received by now. It may be a report of an execution: what it says is taken all the same.
void QuickfixSession::hand_out_refused() {
    if (logged_on() && raw_number_ + 1 == target()) {
        tell(SessionNews::Kind::Message, raw_number_, raw_);
    }
}

/// The venue's answer to a logon that is none.
void QuickfixSession::heed_refusal(const FIX::Message& message) {
    if (logged_on()) {
        return;
    }
    const std::string text = message.isSetField(58) ? message.getField(58) : "";
    tell(SessionNews::Kind::Trouble, 0, "the venue refuses the logon: " + text);
    venue_expects_ = number_in(text, "expecting ");
    const std::lock_guard<std::mutex> hold{mutex_};
    attempt_.refused = true;
    attempt_.credentials = speaks_of_credentials(text);
}

void QuickfixSession::fromAdmin(const FIX::Message& message, const FIX::SessionID&) throw(
    FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue, FIX::RejectLogon) {
    note_passed(message);
    const std::string type = message.getHeader().getField(35);
    if (type == "5" || type == "3") {
        heed_refusal(message);
    }
    if (type == "3" || type == "5") {
        hand_out(message);
    }
}

void QuickfixSession::fromApp(const FIX::Message& message,
                              const FIX::SessionID&) throw(FIX::FieldNotFound,
                                                           FIX::IncorrectDataFormat,
                                                           FIX::IncorrectTagValue,
                                                           FIX::UnsupportedMessageType) {
    note_passed(message);
    hand_out(message);
}

/// It is not one that QuickFIX refuses.
void QuickfixSession::note_passed(const FIX::Message& message) {
    passed_number_ = static_cast<std::uint32_t>(std::stoul(message.getHeader().getField(34)));
}

/// Puts "tag=value" fields into `message`; the groups that follow 146 and 267 stay groups, because
/// QuickFIX orders single fields by their tags.
void fill(FIX::Message& message, const std::string& fields) {
    int group_tag = 0;
    int left = 0;
    for (std::size_t at = 0; at < fields.size();) {
        const std::size_t equals = fields.find('=', at);
        const std::size_t end = fields.find('\x01', equals);
        const int tag = std::atoi(fields.c_str() + at);
        const std::string value = fields.substr(equals + 1, end - equals - 1);
        at = end == std::string::npos ? fields.size() : end + 1;
        if (left > 0) {
            FIX::Group group(group_tag, tag);
            group.setField(tag, value);
            message.addGroup(group);
            --left;
        } else if (tag == 146 || tag == 267) {
            group_tag = tag;
            left = std::atoi(value.c_str());
        } else {
            message.setField(tag, value);
        }
    }
}

SendResult QuickfixSession::send(const std::string& type, const std::string& fields,
                                 std::uint32_t& number) {
    FIX::Message message;
    message.getHeader().setField(35, type);
    fill(message, fields);
    sent_number_ = 0;
    refused_ = false;
    if (session_ == nullptr) {
        return SendResult::NotSent;  // its last one may be in the middle of its end
    }
    bool sent = false;
    try {
        sent = FIX::Session::sendToTarget(message, id_);
    } catch (const FIX::SessionNotFound&) {
        return SendResult::NotSent;
    }
    number = sent_number_;
    if (refused_ || sent_number_ == 0) {
        return SendResult::NotSent;
    }
    return sent ? SendResult::Sent : SendResult::Unknown;
}

}  // namespace fix
}  // namespace millrace
