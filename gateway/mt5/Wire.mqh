// Frames and bodies of the bridge protocol (gateway/BRIDGE.md), as structures and as bytes.

#include "Bytes.mqh"

#define WIRE_VERSION 2
#define FRAME_HEAD_BYTES 24
#define FRAME_BYTES_MAX 1024

#define FRAME_CHALLENGE 1
#define FRAME_HELLO 2
#define FRAME_WELCOME 3
#define FRAME_DENIED 4
#define FRAME_COMMAND 5
#define FRAME_RX_ACK 6
#define FRAME_EVENT 7
#define FRAME_EVENT_ACK 8
#define FRAME_HEARTBEAT 9
#define FRAME_BUSY 10
#define FRAME_TICK 11
#define FRAME_KILL 12
#define FRAME_SYNC_DONE 13
#define FRAME_SYMBOL 14
#define FRAME_ACCOUNT 17
#define FRAME_HOLDING 15
#define FRAME_HOLDINGS_END 16

#define CHALLENGE_BYTES 40
#define HELLO_BYTES 128
#define SYMBOL_BYTES 80
#define ACCOUNT_BYTES 24
#define HOLDING_BYTES 72
#define HOLDINGS_END_BYTES 16
#define HELLO_SIGNED_BYTES 96
#define HELLO_NONCE_AT 64
#define NONCE_BYTES 32
#define MAC_BYTES 32
#define WELCOME_BYTES 80
#define WELCOME_SIGNED_BYTES 48
#define NUMBER_MAX 0x4000000000000000  // no count gets there
#define DENIED_BYTES 96
#define COMMAND_BYTES 120
#define EVENT_BYTES 128
#define KILL_BYTES 32

enum CommandType
{
    COMMAND_OPEN = 1,
    COMMAND_CLOSE = 2,
    COMMAND_MODIFY = 3,
    COMMAND_CANCEL = 4,
    COMMAND_QUERY = 5
};

enum EventType
{
    EVENT_OUTCOME = 1,
    EVENT_EXEC = 2,
    EVENT_UNSENT = 3,
    EVENT_QUERY_FOUND = 4,
    EVENT_QUERY_ABSENT = 5,
    EVENT_QUERY_UNKNOWN = 6,
    EVENT_ACCOUNT_INFO = 9
};

enum ExecKind
{
    EXEC_NONE = 0,
    EXEC_PENDING_FILLED = 1,
    EXEC_PENDING_CANCELED = 2,
    EXEC_STOP_LOSS = 3,
    EXEC_TAKE_PROFIT = 4,
    EXEC_STOP_OUT = 5,
    EXEC_BY_HAND = 6,
    EXEC_KILL = 7,
    EXEC_FOREIGN = 8
};

// FIX OrdStatus characters; '?' is IN_DOUBT.
#define STATUS_NEW '0'
#define STATUS_PARTIAL '1'
#define STATUS_FILLED '2'
#define STATUS_CANCELED '4'
#define STATUS_REJECTED '8'
#define STATUS_PENDING_NEW 'A'
#define STATUS_EXPIRED 'C'
#define STATUS_IN_DOUBT '?'

#define REASON_WIRE_EXPIRED 4
#define REASON_WIRE_NOT_TRADING 27
#define REASON_WIRE_KILLED 29
#define CODE_STALE 1
#define CODE_OTHER_TAG 2

#define HELLO_MAY_TRADE 1
#define HELLO_SUSPECT 2
// AccountInfo
#define INFO_MAY_TRADE 1
#define INFO_SERVER_AWAY 2  // no connection to the trade server, or another account is logged in
#define INFO_STOPS_MISSING 4  // a position of ours without the stops that its order asked for
#define INFO_TICKS_AWAY 8  // ticks are to be streamed, and nobody takes them
#define INFO_BROKER_FORBIDS 16  // the broker lets the account not trade, or not by an expert
#define INFO_SETTLING 32   // connected, and not sure yet of what happened before
#define INFO_KILL_WAITS 64  // a kill is in force, and something of it is still there
// Account
#define ACCOUNT_CLOSES_FIFO 1  // positions of a symbol in the order they were opened
#define ACCOUNT_MAY_HEDGE 2    // positions of both sides in a symbol
#define COMMAND_RESENT 1

#define KILL_STOP 1
#define KILL_CANCEL 2
#define KILL_FLATTEN 4

#define SIDE_BUY 0
#define SIDE_SELL 1
#define PRICE_MARKET 0
#define PRICE_LIMIT 1
#define PRICE_STOP 2

#define HOLDING_POSITION 1
#define HOLDING_ORDER 2

struct Command
{
    ulong epoch;
    ulong generation;
    ulong magic;
    int type;
    int side;
    int price_kind;
    bool resent;  // an earlier session may have sent it
    uint ttl_ms;
    string symbol;
    long volume;  // 1e-8 lots
    long price;   // 1e-8
    long stop_loss;
    long take_profit;
    ulong position_ticket;
    ulong order_ticket;
    uint deviation_points;
    string comment;
};

struct Event
{
    int type;
    int exec_kind;
    int ord_status;
    int side;
    int reason;
    int permissions;
    ulong magic;
    uint retcode;
    ulong order_ticket;
    ulong deal_ticket;
    ulong position_id;
    long volume;
    long requested;
    long price;
    long bid;
    long ask;
    long equity;
    long balance;
    long broker_time_ns;
    string symbol;
};

struct Kill
{
    ulong kill_id;
    int actions;
    string symbol;  // "" = every symbol
};

void clear_event(Event &e)
{
    e.type = 0;
    e.exec_kind = 0;
    e.ord_status = 0;
    e.side = 0;
    e.reason = 0;
    e.permissions = 0;
    e.magic = 0;
    e.retcode = 0;
    e.order_ticket = 0;
    e.deal_ticket = 0;
    e.position_id = 0;
    e.volume = 0;
    e.requested = 0;
    e.price = 0;
    e.bid = 0;
    e.ask = 0;
    e.equity = 0;
    e.balance = 0;
    e.broker_time_ns = 0;
    e.symbol = "";
}

void put_command(uchar &b[], const int at, const Command &c)
{
    put_u64(b, at, c.epoch);
    put_u64(b, at + 8, c.generation);
    put_u64(b, at + 16, c.magic);
    put_u8(b, at + 24, c.type);
    put_u8(b, at + 25, c.side);
    put_u8(b, at + 26, c.price_kind);
    put_u8(b, at + 27, c.resent ? COMMAND_RESENT : 0);
    put_u32(b, at + 28, c.ttl_ms);
    put_text(b, at + 32, TEXT_BYTES, c.symbol);
    put_i64(b, at + 48, c.volume);
    put_i64(b, at + 56, c.price);
    put_i64(b, at + 64, c.stop_loss);
    put_i64(b, at + 72, c.take_profit);
    put_u64(b, at + 80, c.position_ticket);
    put_u64(b, at + 88, c.order_ticket);
    put_u32(b, at + 96, c.deviation_points);
    put_u32(b, at + 100, 0);
    put_text(b, at + 104, TEXT_BYTES, c.comment);
}

void get_command(const uchar &b[], const int at, Command &c)
{
    c.epoch = get_u64(b, at);
    c.generation = get_u64(b, at + 8);
    c.magic = get_u64(b, at + 16);
    c.type = get_u8(b, at + 24);
    c.side = get_u8(b, at + 25);
    c.price_kind = get_u8(b, at + 26);
    c.resent = (get_u8(b, at + 27) & COMMAND_RESENT) != 0;
    c.ttl_ms = get_u32(b, at + 28);
    c.symbol = get_text(b, at + 32, TEXT_BYTES);
    c.volume = get_i64(b, at + 48);
    c.price = get_i64(b, at + 56);
    c.stop_loss = get_i64(b, at + 64);
    c.take_profit = get_i64(b, at + 72);
    c.position_ticket = get_u64(b, at + 80);
    c.order_ticket = get_u64(b, at + 88);
    c.deviation_points = get_u32(b, at + 96);
    c.comment = get_text(b, at + 104, TEXT_BYTES);
}

void put_event(uchar &b[], const int at, const Event &e)
{
    put_u8(b, at, e.type);
    put_u8(b, at + 1, e.exec_kind);
    put_u8(b, at + 2, e.ord_status);
    put_u8(b, at + 3, e.side);
    put_u16(b, at + 4, e.reason);
    put_u8(b, at + 6, e.permissions);
    put_u8(b, at + 7, 0);
    put_u64(b, at + 8, e.magic);
    put_u32(b, at + 16, e.retcode);
    put_u32(b, at + 20, 0);
    put_u64(b, at + 24, e.order_ticket);
    put_u64(b, at + 32, e.deal_ticket);
    put_u64(b, at + 40, e.position_id);
    put_i64(b, at + 48, e.volume);
    put_i64(b, at + 56, e.requested);
    put_i64(b, at + 64, e.price);
    put_i64(b, at + 72, e.bid);
    put_i64(b, at + 80, e.ask);
    put_i64(b, at + 88, e.equity);
    put_i64(b, at + 96, e.balance);
    put_i64(b, at + 104, e.broker_time_ns);
    put_text(b, at + 112, TEXT_BYTES, e.symbol);
}

void get_event(const uchar &b[], const int at, Event &e)
{
    e.type = get_u8(b, at);
    e.exec_kind = get_u8(b, at + 1);
    e.ord_status = get_u8(b, at + 2);
    e.side = get_u8(b, at + 3);
    e.reason = get_u16(b, at + 4);
    e.permissions = get_u8(b, at + 6);
    e.magic = get_u64(b, at + 8);
    e.retcode = get_u32(b, at + 16);
    e.order_ticket = get_u64(b, at + 24);
    e.deal_ticket = get_u64(b, at + 32);
    e.position_id = get_u64(b, at + 40);
    e.volume = get_i64(b, at + 48);
    e.requested = get_i64(b, at + 56);
    e.price = get_i64(b, at + 64);
    e.bid = get_i64(b, at + 72);
    e.ask = get_i64(b, at + 80);
    e.equity = get_i64(b, at + 88);
    e.balance = get_i64(b, at + 96);
    e.broker_time_ns = get_i64(b, at + 104);
    e.symbol = get_text(b, at + 112, TEXT_BYTES);
}

void put_kill(uchar &b[], const int at, const Kill &k)
{
    put_u64(b, at, k.kill_id);
    put_u64(b, at + 8, (ulong)k.actions);  // one byte and seven reserved
    put_text(b, at + 16, TEXT_BYTES, k.symbol);
}

void get_kill(const uchar &b[], const int at, Kill &k)
{
    k.kill_id = get_u64(b, at);
    k.actions = get_u8(b, at + 8);
    k.symbol = get_text(b, at + 16, TEXT_BYTES);
}

/// Puts head and checksum in front of a body. @param frame gets head and body.
void make_frame(uchar &frame[], const int version, const int type, const ulong seq,
                const uchar &body[], const int body_bytes)
{
    int bytes = FRAME_HEAD_BYTES + body_bytes;
    ArrayResize(frame, bytes);
    put_u32(frame, 0, (uint)bytes);
    put_u8(frame, 4, type);
    put_u8(frame, 5, version);
    put_u16(frame, 6, 0);
    put_u32(frame, 8, 0);
    put_u32(frame, 12, 0);
    put_u64(frame, 16, seq);
    for (int i = 0; i < body_bytes; i++)
        frame[FRAME_HEAD_BYTES + i] = body[i];
    put_u32(frame, 8, crc32c(frame, 0, bytes));
}

/// Checksum of a frame in a buffer, its own field taken as zero.
uint frame_crc(const uchar &b[], const int at, const int bytes)
{
    uchar zero[4];
    put_u32(zero, 0, 0);
    uint crc = crc_feed(0xFFFFFFFF, b, at, 8);
    crc = crc_feed(crc, zero, 0, 4);
    return ~crc_feed(crc, b, at + 12, bytes - 12);
}

// -- magic: tag 15 bits, intent 45 bits, attempt 3 bits ------------------------------------------

ulong magic_tag(const ulong magic) { return magic >> 48; }
ulong magic_intent(const ulong magic) { return (magic >> 3) & 0x1FFFFFFFFFFF; }
int magic_attempt(const ulong magic) { return (int)(magic & 7); }
