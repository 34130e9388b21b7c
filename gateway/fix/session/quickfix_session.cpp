// The only file that sees QuickFIX's headers.
#include "gateway/fix/session/quickfix_session.h"

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
constexpr int kFailuresMax = 3;
constexpr auto kGapMax = std::chrono::seconds(10);
constexpr auto kLogoutWait = std::chrono::seconds(2);

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
    was_logged_on_ = true;
    failures_ = 0;
    tell(SessionNews::Kind::LoggedOn, 0, "");
}

/// Also after a logon that failed. The session's numbers may be set here: it is over.
void QuickfixSession::onLogout(const FIX::SessionID&) {
    failures_ = was_logged_on_ ? 0 : failures_ + (logon_sent_ ? 1 : 0);
    was_logged_on_ = logon_sent_ = false;
    tell_held_back();
    if (venue_went_back_ != 0) {
        tell(SessionNews::Kind::Trouble, 0,
             "the venue's sequence numbers went back to " + std::to_string(venue_went_back_) +
                 "; taken over, the next logon goes on from there");
        set_target(venue_went_back_);
        venue_went_back_ = 0;
        failures_ = 0;
    }
    if (venue_expects_ > sender()) {
        tell(SessionNews::Kind::Trouble, 0,
             "the venue expects our sequence number " + std::to_string(venue_expects_) +
                 ", we were at " + std::to_string(sender()) + "; taken over");
        set_sender(venue_expects_);
        failures_ = 0;
    }
    venue_expects_ = 0;
    {
        const std::lock_guard<std::mutex> hold{mutex_};
        highest_seen_ = 0;
        if (failures_ >= kFailuresMax) {
            paused_ = true;
            paused_until_ = Clock::now() + std::chrono::seconds(settings_.pause_s);
        }
    }
    if (failures_ >= kFailuresMax) {
        tell(SessionNews::Kind::Trouble, 0,
             std::to_string(failures_) + " logons in a row failed; the next one in " +
                 std::to_string(settings_.pause_s) + " s. See the message log for the reason");
        session_->logout();
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

void QuickfixSession::heed_logout(const FIX::Message& message) {
    if (logged_on() || !message.isSetField(58)) {
        return;
    }
    const std::string text = message.getField(58);
    tell(SessionNews::Kind::Trouble, 0, "the venue refuses the logon: " + text);
    venue_expects_ = number_in(text, "expecting ");
}

void QuickfixSession::fromAdmin(const FIX::Message& message, const FIX::SessionID&) throw(
    FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue, FIX::RejectLogon) {
    note_passed(message);
    const std::string type = message.getHeader().getField(35);
    if (type == "5") {
        heed_logout(message);
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

namespace {

/// Groups in messages to us. Without them QuickFIX takes the second entry of a group for a repeated
/// field and refuses the message. It has no version, so that nothing else is checked: what a
/// message means is checked by its reader.
FIX::DataDictionaryProvider known_groups() {
    struct GroupOf {
        const char* types;  // MsgTypes, one character each
        int count;
        std::vector<int> fields;  // the first one begins an entry
    };
    const GroupOf groups[] = {
        {"W", 268, {269, 270, 15,  271, 272, 273, 274, 275, 336, 625, 276, 277, 282, 283, 284, 286,
                    59,  432, 126, 110, 18,  287, 37,  299, 288, 289, 346, 290, 546, 811, 58}},
        {"X", 268, {279, 285, 269, 278, 280, 55,  65,  48,  22,  270, 15,  271, 272, 273,
                    274, 275, 336, 625, 276, 277, 282, 283, 284, 286, 59,  432, 126, 110,
                    18,  287, 37,  299, 288, 289, 346, 290, 546, 811, 451, 58}},
        {"89j", 453, {448, 447, 452, 802}},
        {"8", 382, {375, 337, 437, 438, 655}},
        {"8", 136, {137, 138, 139, 891}},
        {"8", 454, {455, 456}},
        {"8", 518, {519, 520, 521}},
        {"8", 232, {233, 234}},
    };
    auto all = ptr::shared_ptr<FIX::DataDictionary>(new FIX::DataDictionary());
    for (const GroupOf& group : groups) {
        FIX::DataDictionary entry;
        for (const int field : group.fields) {
            entry.addField(field);
        }
        for (const char* type = group.types; *type != '\0'; ++type) {
            all->addGroup(std::string(1, *type), group.count, group.fields.front(), entry);
        }
    }
    FIX::DataDictionaryProvider provider;
    provider.addTransportDataDictionary(FIX::BeginString("FIX.4.4"), all);
    return provider;
}

}  // namespace

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

void QuickfixSession::tick() {
    bool resume = false;
    bool stuck = false;
    {
        const std::lock_guard<std::mutex> hold{mutex_};
        const auto now = Clock::now();
        resume = paused_ && now >= paused_until_;
        paused_ = paused_ && !resume;
        stuck = !paused_ && highest_seen_ >= target_ && now - moved_ > kGapMax;
        moved_ = stuck ? now : moved_;
    }
    if (stuck && session_->isEnabled()) {
        // A resend request that QuickFIX thinks it has sent, or that the venue does not answer.
        tell(SessionNews::Kind::Trouble, 0,
             "the venue does not fill a gap in its numbers; logging on anew");
        session_->logout("gap not filled");
        const std::lock_guard<std::mutex> hold{mutex_};
        paused_ = true;
        paused_until_ = Clock::now() + std::chrono::seconds(settings_.reconnect_s);
    } else if (resume) {
        session_->logon();
    }
}

void QuickfixSession::stop() {
    if (initiator_ == nullptr) {
        return;
    }
    session_->logout();
    const auto deadline = Clock::now() + kLogoutWait;
    while (session_->isLoggedOn() && Clock::now() < deadline) {
        ::usleep(5000);
    }
    end();
}

/// Without a word to the venue, as a death would end it.
void QuickfixSession::end() {
    if (initiator_ != nullptr) {
        initiator_->stop(true);
        session_ = nullptr;
        initiator_.reset();
    }
}

std::string QuickfixSession::settings_text() const {
    std::ostringstream out;
    out << "[DEFAULT]\nConnectionType=initiator\nUseDataDictionary=N\n"
        << "StartTime=00:00:00\nEndTime=00:00:00\n"  // we log on whenever we can
        // Not N, though the store keeps no bodies: QuickFIX 1.15 then does not count the
        // ResendRequest itself as received, and may never ask for the gap that this leaves.
        << "PersistMessages=Y\nCheckLatency=N\nValidateUserDefinedFields=N\n"
        << "ValidateFieldsHaveValues=N\nValidateFieldsOutOfOrder=N\nSocketNodelay=Y\n"
        << "TimestampPrecision=3\nReconnectInterval=" << settings_.reconnect_s << '\n'
        << "HeartBtInt=" << settings_.heartbeat_s << '\n'
        << "LogonTimeout=" << settings_.logon_timeout_s << '\n'
        << "ResetOnLogon=" << (settings_.reset_on_logon ? "Y\n" : "N\n");
    if (settings_.tls) {
        // Level 2: a certificate is wanted and its chain must lead to the CA file.
        out << "SSLProtocol=+TLSv1_2 +TLSv1_3\nCertificateVerifyLevel=2\n"
            << "CertificationAuthoritiesFile=" << settings_.tls_ca_file << '\n';
    }
    out << "[SESSION]\nBeginString=FIX.4.4\nSenderCompID=" << settings_.sender_comp_id << '\n'
        << "TargetCompID=" << settings_.target_comp_id << '\n'
        << "SocketConnectHost=" << settings_.host << '\n'
        << "SocketConnectPort=" << settings_.port << '\n';
    return out.str();
}

std::string QuickfixSession::begin() {
    for (const std::string& trouble :
         {file_.open(settings_.sequence_path), messages_.open(settings_.message_log)}) {
        if (!trouble.empty()) {
            return trouble;
        }
    }
    target_ = file_.target();
    if (settings_.tls) {
        const std::string& name = settings_.tls_name;
        const std::string trouble = tls_name_.expect(name.empty() ? settings_.host : name);
        if (!trouble.empty()) {
            return trouble;
        }
    }
    try {
        std::istringstream text{settings_text()};
        const FIX::SessionSettings settings{text};
        if (settings_.tls) {
            initiator_.reset(new FIX::SSLSocketInitiator(*this, *this, settings, log_maker_));
        } else {
            initiator_.reset(new FIX::SocketInitiator(*this, *this, settings, log_maker_));
        }
        session_ = FIX::Session::lookupSession(id_);
        session_->setDataDictionaryProvider(known_groups());
        initiator_->start();
    } catch (const std::exception& e) {
        initiator_.reset();
        return std::string{"FIX session: "} + e.what();
    }
    return "";
}

std::unique_ptr<VenueSession> VenueSession::start(const SessionSettings& settings,
                                                  std::string& error) {
    std::unique_ptr<QuickfixSession> session{new QuickfixSession{settings}};
    error = session->begin();
    return error.empty() ? std::move(session) : nullptr;
}

}  // namespace fix
}  // namespace millrace
