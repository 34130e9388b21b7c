// A FIX 4.4 initiator session: logon, heartbeats, sequence numbers, resends, TLS. QuickFIX does the
// work; nothing of it shows here, so that one file alone has to be compiled with its headers.
//
// What it adds to QuickFIX:
//  1. An order leaves while the session is logged on, or never. Nothing that has been sent is sent
//     again: whatever the venue asks for is gap-filled (a resent order would be executed as new by
//     a venue that had lost it).
//  2. A message of the venue counts as received when the owner says so (processed()), not when it
//     was read: after a death the venue sends it again.
//  3. Sequence trouble ends by itself. A venue whose numbers went back is believed; one that misses
//     numbers of ours and says which it expects gets them.
//  4. It dials by gateway/link_schedule.h: at two access points, slower and slower, and not at all
//     once the venue has refused the credentials too often.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace {
namespace fix {

struct SessionSettings {
    std::string host;
    std::uint16_t port = 0;
    std::string backup_host;  // the second access point of the same session; empty = there is none
    std::uint16_t backup_port = 0;
    std::string sender_comp_id;
    std::string target_comp_id;
    std::string sender_sub_id;  // 50 and 57 on every message; empty = not sent
    std::string target_sub_id;
    std::string username;  // 553 and 554 in Logon; empty = not sent
    std::string password;
    std::uint32_t heartbeat_s = 30;
    std::uint32_t reconnect_ms = 3000;  // between attempts; after ten failures 10 to 100 times that
    std::uint32_t logon_timeout_s = 10;
    // After a logon that was refused, or three in a row that were not answered; grows.
    std::uint32_t pause_ms = 60'000;
    std::uint32_t refusals_max = 5;  // of the credentials, in a row; then it stops. 0 = never
    bool reset_on_logon = false;     // both sides number from 1 at each logon
    bool tls = false;
    std::string tls_ca_file;  // PEM; the venue's certificate must be signed by one of these
    // In that certificate; empty = the host dialled. One for all sessions of a process at a time
    // (tls_name.h).
    std::string tls_name;
    std::string sequence_path;  // SequenceFile
    std::string message_log;    // every message is appended, passwords masked; empty = none
};

/// What the session has to say, in the order it happened.
struct SessionNews {
    enum class Kind : std::uint8_t {
        Message,    // an application message, Reject or Logout, as it came over the wire
        Processed,  // numbers below `number` have been handed out: for processed()
        LoggedOn,
        LoggedOut,   // or the attempt to log on failed
        PassedOver,  // the venue missed ours from `number` on, and was told to count them as said
        Trouble,     // for a person to read
    };
    Kind kind = Kind::Message;
    std::uint32_t number = 0;
    std::string text;
};

/// What became of a message that was to be sent.
enum class SendResult : std::uint8_t {
    Sent,     // handed to the socket; whether it arrived is another matter
    NotSent,  // certainly not, now or ever: not logged on
    Unknown,  // numbered, and the socket failed: it may have left
};

/// Threads: QuickFIX's own reads and writes the socket; all calls here are the owner's one thread,
/// which never waits for the venue.
/// Ends the process (status 1, with a message) where it cannot keep its promises: sequence numbers
/// that cannot be written, or 65,536 pieces of news that nobody takes.
class VenueSession {
public:
    /// Opens the sequence file and begins the first attempt to connect; tick() makes the others.
    /// @return nullptr and what is wrong with the settings.
    static std::unique_ptr<VenueSession> start(const SessionSettings& settings, std::string& error);
    virtual ~VenueSession() = default;

    /// Readable (an eventfd) when there is news.
    virtual int news_fd() const noexcept = 0;
    /// All news since the last call.
    virtual std::vector<SessionNews> take() = 0;
    /// News up to this Processed have been dealt with for good: they need not come again.
    virtual void processed(std::uint32_t number) = 0;

    virtual bool logged_on() const = 0;
    /// @param fields "tag=value" each ended by SOH, in the order FIX wants them; without header and
    /// trailer. Repeating groups 146 and 267 are understood.
    /// @param number MsgSeqNum it left under, unless NotSent.
    virtual SendResult send(const std::string& msg_type, const std::string& fields,
                            std::uint32_t& number) = 0;
    /// Ten times a second or so: dials when it is time to, and ends a gap that the venue does not
    /// fill.
    virtual void tick() = 0;
    /// Logs out, waiting 2 s for the venue at most, and ends. (Destruction ends it without a word.)
    virtual void stop() = 0;
};

}  // namespace fix
}  // namespace millrace
