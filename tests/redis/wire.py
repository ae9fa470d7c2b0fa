"""wire.py - the protocol on the wire: pieces, pipelines, inline commands, and what is malformed."""
import time

from harness import check, encode, test

# Each is sent on a connection of its own to both servers; all bytes that come back, and whether
# the connection is closed, must be the same.
RAW = [
    b"PING\r\n",
    b"PING\n",
    b"\r\n\r\nPING\r\n",
    b"   PING   \r\n",
    b"ping hello\r\n",
    b"SET inline \"a\\tb \\x41\\xff\\\"\" \r\n",
    b"GET inline\r\n",
    b"SET inline 'it\\'s \\x41'\r\nGET inline\r\n",
    b"ECHO ab\"cd\"\r\n",
    b"ECHO \"\"\r\n",
    b"ECHO \"ab\"cd\r\n",
    b"ECHO \"unbalanced\r\n",
    b"ECHO 'unbalanced\r\n",
    b"ECHO \"a\\\r\n",
    b"ECHO \"\\n\\r\\t\\b\\a\\q\\xzz\\x4\"\r\n",
    b"PING\r\nPING\r\nECHO x\r\n",
    b"QUIT\r\nPING\r\n",
    b"NOSUCH thing\r\n",
    b"*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n",
    b"*0\r\nPING\r\n",
    b"*-5\r\nPING\r\n",
    b"*a\r\n",
    b"*\r\n",
    b"* 1\r\n",
    b"*+1\r\n",
    b"*01\r\n",
    b"*1.5\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*-99999999999999999999\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n:4\r\nPING\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$4a\r\nPING\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$1073741824\r\n",
    b"*2\r\n$4\r\nECHO\r\n$67108865\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$3\r\nGET\r\n*1\r\n$1\r\nx\r\n",
    b"PING\r\n*1\r\n$4\r\nPING\r\n*x\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
    b"+PING\r\n",
    b"$4\r\nPING\r\n",
    b"\x80\x81\x82\r\n",
    b"x" * 70000,
    b"*" + b"1" * 70000,
    b"*1\r\n$" + b"1" * 70000,
    b"*1\r\n" + b"$" * 70000,
    b"*3\r\n$3\r\nSET\r\n$1\r\n",
]


@test
def raw_bytes_well_and_malformed(env):
    for data in RAW:
        got = []
        for server in (env.mini, env.real):
            with server.client() as client:
                client.send(data)
                got.append(client.until_close(quiet=0.15))
        check(got[0] == got[1], repr(data[:60]), f"\n      mine {got[0]}\n      real {got[1]}")


@test
def too_many_arguments(env):
    """The limit is 1,048,576, and what is announced is not allocated."""
    with env.mini.client() as client:
        client.send(b"*1048577\r\n")
        check(client.until_close() == (b"-ERR Protocol error: invalid multibulk length\r\n", True),
              "1,048,577 arguments are refused")
    with env.mini.client() as client:
        client.send(b"*1048576\r\n$4\r\nMGET\r\n" + b"$1\r\nx\r\n" * 1048575)
        check(client._line() == b"*1048575\r\n", "1,048,576 arguments are taken")


STREAM = b"".join([
    encode("SET", "split", "value with \r\n inside"), encode("GET", "split"), b"PING inline\r\n",
    encode("MSET", "a", "1", "b", ""), encode("MGET", "a", "b", "c"), b"*0\r\n", b"\r\n",
    b"SET q \"quoted \\x41\"\r\n", encode("GET", "q"), encode("nosuch", "x"),
    encode("LPUSH", "split", "x"), encode("ECHO", "y" * 3000), encode("DEL", "split", "q"),
    encode("PING")])


def answers_to(server, pieces, pause=0):
    with server.client() as client:
        for piece in pieces:
            client.send(piece)
            if pause:
                time.sleep(pause)
        client.send(b"QUIT\r\n")
        return client.until_close()


@test
def pipelines_and_split_packets(env):
    """The same answers however the stream is cut."""
    whole = answers_to(env.real, [STREAM])
    check(answers_to(env.mini, [STREAM]) == whole, "a pipeline in one packet")
    check(answers_to(env.mini, [STREAM[i:i + 1] for i in range(len(STREAM))]) == whole,
          "byte by byte")
    for size in (2, 3, 7, 64, 1000):
        cut = [STREAM[i:i + size] for i in range(0, len(STREAM), size)]
        check(answers_to(env.mini, cut) == whole, f"{size} bytes a packet")
    short = STREAM.split(encode("LPUSH", "split", "x"))[0]
    check(answers_to(env.mini, [short[i:i + 1] for i in range(len(short))], 0.0005) ==
          answers_to(env.real, [short]), "byte by byte, slowly")
    check(answers_to(env.mini, [STREAM * 500]) == answers_to(env.real, [STREAM * 500]),
          "7,000 commands at once")


@test
def half_close(env):
    """A client that sends, ends its stream, and reads, as `printf ... | nc` does."""
    import socket
    with env.mini.client() as client:
        client.send(b"SET half 1\r\nGET half\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        check(client.until_close() == (b"+OK\r\n$1\r\n1\r\n", True), "the replies still come")


@test
def long_values(env):
    """64 MiB in and out, and not one byte more."""
    value = bytes(range(256)) * (64 * 4096)
    with env.mini.client(timeout=60) as client:
        check(client.command("SET", "long", value) == b"+OK\r\n", "SET of 64 MiB")
        check(client.command("GET", "long")[11:-2] == value, "GET of 64 MiB")
        client.send(b"*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n$67108865\r\n")
        check(client.until_close() == (b"-ERR Protocol error: invalid bulk length\r\n", True),
              "64 MiB and a byte")
    with env.mini.client() as client:
        check(client.command("DEL", "long") == b":1\r\n", "DEL of 64 MiB")


@test
def commands_that_are_not_compared(env):
    """INFO, COMMAND, CLIENT, CONFIG: as much of them as tools ask for."""
    with env.mini.client() as client:
        check(client.command("CONFIG", "GET", "save") == b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n",
              "CONFIG GET save")
        check(client.command("CONFIG", "GET", "nosuch") == b"*0\r\n", "CONFIG GET nosuch")
        check(b"wrong number" in client.command("CONFIG", "GET"), "CONFIG GET")
        check(b"unknown subcommand" in client.command("CONFIG", "nosuch"), "CONFIG nosuch")
        check(client.command("COMMAND")[:1] == b"*", "COMMAND")
        check(client.command("COMMAND", "COUNT")[:1] == b":", "COMMAND COUNT")
        check(client.command("COMMAND", "DOCS") == b"*0\r\n", "COMMAND DOCS")
        check(b"connected_clients:" in client.command("INFO"), "INFO")
        check(client.command("CLIENT", "GETNAME") == b"$-1\r\n", "no name")
        check(client.command("CLIENT", "SETNAME", "me") == b"+OK\r\n", "CLIENT SETNAME")
        check(client.command("CLIENT", "GETNAME") == b"$2\r\nme\r\n", "CLIENT GETNAME")
        check(b"cannot contain" in client.command("CLIENT", "SETNAME", "a b"), "a bad name")
        check(client.command("CLIENT", "SETNAME", "") == b"+OK\r\n", "no name again")
        check(client.command("CLIENT", "GETNAME") == b"$-1\r\n", "it is gone")
        check(client.command("CLIENT", "SETINFO", "LIB-NAME", "x") == b"+OK\r\n", "SETINFO")
        check(b"wrong number" in client.command("CLIENT", "ID", "x"), "CLIENT ID x")
        first = int(client.command("CLIENT", "ID")[1:])
        with env.mini.client() as other:
            check(int(other.command("CLIENT", "ID")[1:]) > first, "ids go up")
