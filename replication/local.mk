# Floor 2: Dynamo as pure logic. Uses base/ and resp/.
